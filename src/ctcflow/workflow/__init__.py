"""What the rules of the workflow ask for: inputs, memory and time, digests of steps."""
