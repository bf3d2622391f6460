"""Folders of runs: made, checked, run, recovered, recorded, explained."""
