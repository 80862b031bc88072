"""Inserts with a clause for conflicts, in the dialect of each database."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

AnyInsert = sqlite.Insert | postgresql.Insert


def insert_into(dialect: str, table: Table) -> AnyInsert:
    """Begin an insert that can have such a clause; its result has the number of rows."""
    begun = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    # Without it SQLAlchemy lets go of the number, and says -1 on PostgreSQL.
    return begun.execution_options(preserve_rowcount=True)
