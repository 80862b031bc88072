"""The hosts, workers, receiver and data that the demo starts."""
