"""Recording jobs, each once and in its time."""
