"""What job code calls: the contexts, and how a step is run, recorded and found again.

Imports `attempt` and below.
"""
