"""The settings, where each came from, and variables that are none."""
