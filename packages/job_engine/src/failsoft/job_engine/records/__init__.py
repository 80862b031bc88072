"""What the ledger keeps, as values without behaviour of a database.

Imports `policies` and below.
"""
