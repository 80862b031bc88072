"""The worker side of each engine."""
