"""A ledger in memory: every promise of the port, for one process.

The oracle of the stateful tests.
"""
