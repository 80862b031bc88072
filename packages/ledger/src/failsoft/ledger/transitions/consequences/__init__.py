"""What a change of a job sets off, in its transaction; imports `transitions`, never `apply`."""
