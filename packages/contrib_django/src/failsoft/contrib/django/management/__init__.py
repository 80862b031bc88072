"""What Django finds the commands by."""
