"""The jobs that ship with Understudy, in a folder for each queue.

Each module declares its job and holds the handler, a class that is given its collaborators;
the worker's wiring binds the two.
"""
