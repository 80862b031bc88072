"""What the demo shows while it runs."""
