"""Connections, transactions, retries and errors; imports no table."""
