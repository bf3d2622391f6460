"""Tables of a run, for TSV files and the page."""
