"""The screens as JSON, for programs."""
