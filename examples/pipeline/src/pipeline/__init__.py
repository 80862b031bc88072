"""A pipeline: what the stores of a chain sold in a day becomes one report."""
