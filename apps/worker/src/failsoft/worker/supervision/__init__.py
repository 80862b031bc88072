"""What supervises work: the supervisor of processes, maintenance, the guard of the namespace.

Imports `engines` and below.
"""
