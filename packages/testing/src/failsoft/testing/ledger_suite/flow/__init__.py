"""Jobs that start, count or wait for others."""
