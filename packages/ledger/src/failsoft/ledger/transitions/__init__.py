"""Every write of a job's state, as one compare-and-set each; imports `schema` and `database`."""
