"""Lines of evidence of each cell, and the rules that make a class of them."""
