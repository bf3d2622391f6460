"""Quality control of one sample."""
