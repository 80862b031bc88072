"""One database per URL and process: all openings of a ledger share its connections.

See docs/decisions/0020.
"""

import os
from datetime import timedelta
from weakref import WeakValueDictionary

from failsoft.ledger.database import forks
from failsoft.ledger.database.call_limit import LIMIT
from failsoft.ledger.database.database import POOL, Database, ledger_url

_open: WeakValueDictionary[tuple[str, timedelta], Database] = WeakValueDictionary()
_lock = forks.Lock()


def shared_database(url: str, *, limit: timedelta = LIMIT, pool: int = POOL) -> Database:
    """Return this process's database for a URL; it is made if there is none.

    It lives as long as anything refers to it. Its `close` gives the connections back that are not
    in use, and what still uses it opens others. Two spellings of a SQLite file's path are one.

    Args:
        url: The database's URL.
        limit: How long one call takes at most; those of another limit have another database.
        pool: How many connections to PostgreSQL there are at most; the first to open it decides.

    Raises:
        ConfigurationError: If the URL is none of a ledger, or the file cannot be one.
    """
    key = (_canonical(url), limit)
    with _lock:
        found = _open.get(key)
        if found is None:
            found = _open[key] = Database(url, limit=limit, pool=pool)
        return found


def _canonical(text: str) -> str:
    url = ledger_url(text)
    if url.get_backend_name() == "sqlite":
        url = url.set(database=os.path.realpath(str(url.database)))
    return url.render_as_string(hide_password=False)
