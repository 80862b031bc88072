"""The ledger on SQL, SQLite or PostgreSQL: the only authority over every job."""

from understudy.ledger.database.database import Database
from understudy.ledger.ledger import SqlLedger
from understudy.ledger.schema.revision import check

__all__ = ["Database", "SqlLedger", "check"]
