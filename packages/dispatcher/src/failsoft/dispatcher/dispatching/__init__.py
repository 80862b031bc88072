"""The ways to dispatch: one, many, in a flow, in a transaction of the caller's.

Imports `handles` and below.
"""
