"""What is shown of payloads, results and errors."""
