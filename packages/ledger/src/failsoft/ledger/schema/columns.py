"""What the tables of the ledger have in common."""

from typing import Any

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    text,
)

#: Every table begins with this, so that the ledger may share a database with an application.
PREFIX = "failsoft_"

metadata: MetaData = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

#: In SQLite a row stands in the index of its primary key: a commit writes a page less for it.
CLUSTERED: Any = {"sqlite_with_rowid": False}


def _by_bytes(length: int) -> String:
    """Return the type of texts that sort by their bytes, so that an index finds beginnings."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


JOB_ID = _by_bytes(64)
#: Compared with job ids, so of the same collation: an index of another one would not be used.
KEY = _by_bytes(255)
SHORT = String(64)
NAME = String(128)


def count(name: str) -> Column[int]:
    """Return a column that counts from zero."""
    return Column(name, Integer, nullable=False, server_default=text("0"))
