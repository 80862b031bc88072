"""Inserts with a clause for conflicts, in the dialect of each database."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

AnyInsert = sqlite.Insert | postgresql.Insert


def insert_into(dialect: str, table: Table) -> AnyInsert:
    """Begin an insert that can have such a clause."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
