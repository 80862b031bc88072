"""`failsoft demo`: RQ's host is lost in the middle of the work, and nothing else is.

A play in four acts on real servers, real worker processes and a real data set. What it claims at
the end it has measured; see `verdict`.
"""
