"""What a dispatch returns, and what can be done with it; imports `options`."""
