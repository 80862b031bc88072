"""`failsoft demo`: an engine's host is killed during the work, and another carries the jobs on.

It runs on real servers, real worker processes and a real data set. What it reports at the end is
measured: see `checks`.
"""
