"""The jobs that ship with Failsoft, in a folder for each queue.

Each module declares its job and holds the handler, a class that is given its collaborators;
the worker's wiring binds the two. Importing it needs no more than the core does: what speaks
HTTP is in modules of its own (`webhook_client`, `csv_source`), and the extra `jobs` brings it.
"""
