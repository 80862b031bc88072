"""The processes above workers: the supervisor, maintenance, the guard of the namespace.

Imports `engines` and below.
"""
