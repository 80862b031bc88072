"""Opening the ledger, for programs that need nothing else; `wiring` puts the rest together."""

from understudy.ledger import Database, SqlLedger, check
from understudy.ledger.opening import shared_database
from understudy.worker.settings import Settings, ledger_folder

#: The most connections to PostgreSQL of a process that only dispatches, asks or maintains.
FEW = 4


def open_ledger(settings: Settings, connections: int = FEW) -> SqlLedger:
    """Open the ledger and refuse one that does not fit."""
    database = open_database(settings, connections)
    try:
        check(database)
    except BaseException:
        database.close()
        raise
    return SqlLedger(database)


def open_database(settings: Settings, connections: int = FEW) -> Database:
    """Return this process's database of the ledger, whatever its schema; make its folder."""
    folder = ledger_folder(settings.ledger_url)
    if folder is not None:
        folder.mkdir(mode=0o700, exist_ok=True)
    pool = settings.ledger_pool or connections
    return shared_database(settings.ledger_url, limit=settings.ledger_timeout, pool=pool)
