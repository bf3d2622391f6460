"""What is in a droplet: a cell, two, or ambient RNA."""
