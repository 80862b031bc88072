"""The migrations of the magazine."""
