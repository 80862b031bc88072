"""The ports that maintenance calls, on SQL: rescue, schedules, expiry, pruning.

Imports `transitions` and below.
"""
