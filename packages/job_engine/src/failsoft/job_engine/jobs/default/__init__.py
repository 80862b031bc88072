"""Jobs of the `default` queue: short and I/O-heavy."""
