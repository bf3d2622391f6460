"""Files of a run: reading them, merging those of one sample, writing them safely, exporting."""
