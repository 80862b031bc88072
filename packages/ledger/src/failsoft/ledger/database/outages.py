"""What the two databases say when they cannot serve, and what follows: one table for each.

By their codes, never by their words, which a server says in its operator's language. The page
`docs/how-to/ledger-postgresql.md` shows the table of PostgreSQL's; a test compares the two. psycopg
is not imported here: a program on SQLite does without it.
"""

import sqlite3
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class Verdict(Enum):
    """What an error of a database means to the ledger."""

    #: The same transaction may succeed if it is run again at once.
    AGAIN = "tried again"
    #: The connection is of no use any more, nor are those that are as old: they may lead to a
    #: server that is gone or is no primary now. Tried again at once, over a new one.
    RECONNECT = "reconnected"
    #: The database cannot serve now. The connections are dropped; a later call may succeed.
    AWAY = "unavailable"
    #: A statement did not end in time; the connection is as good as before.
    SLOW = "too slow"
    #: The ledger's tables are missing, or are not those of this code.
    SCHEMA = "schema"
    #: The ledger was copied to another, which is in use instead.
    COPIED = "copied"
    #: Anything else: a statement that is wrong, or not allowed.
    REFUSED = "refused"


#: SQLSTATEs of PostgreSQL's; those of two characters are classes, for states not named.
SQLSTATES: Mapping[str, Verdict] = MappingProxyType(
    {
        "08": Verdict.RECONNECT,  # the connection; also whatever PgBouncer says of its own
        "25006": Verdict.RECONNECT,  # read-only: a standby, a demoted primary, a fail-over
        "25P03": Verdict.RECONNECT,  # idle in a transaction for too long
        "25P04": Verdict.RECONNECT,  # in a transaction for too long
        "26000": Verdict.RECONNECT,  # a prepared statement that the session has lost
        "28": Verdict.AWAY,  # the role may not log in, or not any more
        "3D000": Verdict.AWAY,  # the database is not there, or not any more
        "40": Verdict.AGAIN,  # serialization failures, deadlocks
        "42P01": Verdict.SCHEMA,  # no such table
        "42P05": Verdict.RECONNECT,  # a prepared statement of another client's
        "42703": Verdict.SCHEMA,  # no such column
        "53": Verdict.AWAY,  # no disk, no memory, no connection left
        "55000": Verdict.RECONNECT,  # not during recovery
        "55P03": Verdict.AGAIN,  # a lock that was not there in time
        "57": Verdict.RECONNECT,  # an operator intervenes: shutting down, starting up
        "57014": Verdict.SLOW,  # a statement was ended: its time was up, or by hand
        "58": Verdict.AWAY,  # errors of the system, as of its disk
        "FSCOP": Verdict.COPIED,  # the ledger's own trigger: it was copied to another
        "F0": Verdict.AWAY,  # the server's configuration is wrong
        "XX": Verdict.AWAY,  # internal errors, damaged data
    }
)

#: What the trigger says that refuses writes to a ledger that was copied, and its SQLSTATE; SQLite
#: has one code for all triggers.
COPIED_TEXT, COPIED_STATE = "this ledger was copied to ", "FSCOP"

#: SQLite's result codes without their extension.
SQLITE_CODES: Mapping[int, Verdict] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: Verdict.AGAIN,
        sqlite3.SQLITE_LOCKED: Verdict.AGAIN,
        sqlite3.SQLITE_SCHEMA: Verdict.AGAIN,
        sqlite3.SQLITE_PERM: Verdict.AWAY,
        sqlite3.SQLITE_NOMEM: Verdict.AWAY,
        sqlite3.SQLITE_READONLY: Verdict.AWAY,
        sqlite3.SQLITE_INTERRUPT: Verdict.SLOW,
        sqlite3.SQLITE_IOERR: Verdict.AWAY,
        sqlite3.SQLITE_CORRUPT: Verdict.AWAY,
        sqlite3.SQLITE_FULL: Verdict.AWAY,
        sqlite3.SQLITE_CANTOPEN: Verdict.AWAY,
        sqlite3.SQLITE_PROTOCOL: Verdict.AWAY,
        sqlite3.SQLITE_AUTH: Verdict.AWAY,
        sqlite3.SQLITE_NOTADB: Verdict.AWAY,
    }
)
#: SQLite has no code for them.
_NO_TABLE = ("no such table", "no such column")
#: A statement that was planned before the schema changed, by its text: the code is used for more.
_STALE_PLAN = ("0A000", "cached plan")
_BROKEN = frozenset({"OperationalError", "InterfaceError"})


def verdict(error: BaseException) -> Verdict:
    """Return what an error of psycopg's or sqlite3's means."""
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    state = getattr(error, "sqlstate", None)
    if state is None:
        return _of_driver(error)
    if state == _STALE_PLAN[0] and _STALE_PLAN[1] in str(error):
        return Verdict.RECONNECT
    return SQLSTATES.get(state) or SQLSTATES.get(state[:2]) or Verdict.REFUSED


def drops_connections(error: BaseException) -> bool:
    """Return whether the connection, and those that are as old, are of no use after an error."""
    return verdict(error) in (Verdict.RECONNECT, Verdict.AWAY)


def _of_sqlite(error: sqlite3.Error) -> Verdict:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # sqlite3's own: the connection was closed meanwhile, or the statement is wrong.
        return Verdict.RECONNECT if "closed" in str(error) else Verdict.REFUSED
    if any(text in str(error) for text in _NO_TABLE):
        return Verdict.SCHEMA
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER and str(error).startswith(COPIED_TEXT):
        return Verdict.COPIED
    return SQLITE_CODES.get(code & 0xFF, Verdict.REFUSED)


def _of_driver(error: BaseException) -> Verdict:
    if getattr(error, "is_silence", False):
        # What has taken all of a call's time is not tried again in it.
        return Verdict.AWAY
    # No connection came about, or it broke, or the driver lost its place in the conversation.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return Verdict.RECONNECT if kinds & _BROKEN else Verdict.REFUSED
