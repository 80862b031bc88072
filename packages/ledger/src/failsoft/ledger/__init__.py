"""The ledger on SQL, SQLite or PostgreSQL: the only authority over every job."""

from failsoft.ledger.database.database import Database
from failsoft.ledger.ledger import SqlLedger
from failsoft.ledger.schema.revision import check

__all__ = ["Database", "SqlLedger", "check"]
