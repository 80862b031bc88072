"""The settings, the source of each, and variables that look like settings."""
