"""The content of droplets: one cell, two cells, or only ambient RNA."""
