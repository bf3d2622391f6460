"""The lines of evidence for each cell, and the rules that combine them to a class."""
