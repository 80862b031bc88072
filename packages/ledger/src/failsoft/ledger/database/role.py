"""What every role of a ledger works on."""

from failsoft.ledger.database.database import Database


class SqlRole:
    """One port of the ledger on SQL; `SqlLedger` unites the roles and sets what they have.

    Attributes:
        _database: The ledger's database.
        _actor: What the history names as the cause of what this process does.
    """

    _database: Database
    _actor: str
