"""Copying a whole ledger into an empty database: SQLite to PostgreSQL, or any to any."""
