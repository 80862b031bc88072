"""Connections, transactions, retries and errors; knows no table."""
