"""Opening the ledger, for programs that need nothing else; `wiring` puts the rest together."""

from collections.abc import Callable
from functools import partial

from failsoft.job_engine.clock import SystemClock
from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.database.sqlite.private_file import no_ledger
from failsoft.ledger.opening import shared_database
from failsoft.ledger.read_route import ReadRoute
from failsoft.worker.configuration.ledgers import expect_one
from failsoft.worker.configuration.settings import DEFAULT_LEDGER, Settings, ledger_folder

#: The most connections to PostgreSQL of a process that only dispatches, reads or maintains.
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


def open_read_route(settings: Settings, primary: Callable[[], SqlLedger]) -> ReadRoute:
    """Return where pages for people are read, by the settings; nothing is opened yet.

    Args:
        settings: The settings.
        primary: Opens the ledger, or returns it.
    """
    url = settings.ledger_read_url
    of_replica = settings.model_copy(update={"ledger_url": url})
    opened = partial(open_ledger, of_replica) if url else None
    return ReadRoute(primary, opened, SystemClock())


def open_database(settings: Settings, connections: int = FEW) -> Database:
    """Return this process's database of the ledger, whatever its schema; nothing is made.

    Raises:
        LedgerSchemaError: If there is not even the folder of the default ledger.
        ConfigurationError: If the settings name several ledgers, and none of them for this.
    """
    expect_one(settings.ledgers, settings.ledger_name)
    folder = ledger_folder(settings.ledger_url)
    if folder is not None and not folder.exists():
        raise no_ledger(folder / DEFAULT_LEDGER.name)
    pool = settings.ledger_pool or connections
    return shared_database(settings.ledger_url, limit=settings.ledger_timeout, pool=pool)


def make_ledger_folder(settings: Settings) -> None:
    """Make the folder of the default ledger, for an upgrade to make the file in it."""
    if settings.ledgers:
        return
    folder = ledger_folder(settings.ledger_url)
    if folder is not None:
        folder.mkdir(mode=0o700, exist_ok=True)
