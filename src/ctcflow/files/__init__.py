"""Files of a run: read, laid over each other, written whole, exported."""
