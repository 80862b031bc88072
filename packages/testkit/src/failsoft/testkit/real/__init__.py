"""A whole Failsoft on real servers and worker processes, with a clock that a test sets ahead."""
