"""The ledger's database, as the checks open it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from failsoft.ledger import Database
from failsoft.ledger.database.database import ledger_url
from failsoft.ledger.opening import shared_database
from failsoft.worker.configuration.settings import Settings


def sqlite_path(settings: Settings) -> Path | None:
    """Return the file of a SQLite ledger, which may be missing; None for PostgreSQL."""
    url = ledger_url(settings.ledger_url)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


@contextmanager
def existing_database(settings: Settings) -> Iterator[Database | None]:
    """Open the database; None if its SQLite file is missing, which the check `ledger` reports."""
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        yield None
        return
    with closing(shared_database(settings.ledger_url, limit=settings.ledger_timeout)) as database:
        yield database
