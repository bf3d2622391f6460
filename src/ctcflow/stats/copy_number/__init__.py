"""Copy number from expression."""
