"""Poolers between the ledger and PostgreSQL: detected before the first query.

A pooler in transaction mode lends one session of the server to one transaction of a client after
the other. What a client sets or prepares in one meets other clients in it. So nothing is set and
nothing prepared before it is known whose session it is.
"""

from collections.abc import Callable

import psycopg

from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger.database.call_limit import RUNNING
from failsoft.ledger.database.postgresql.bounded_driver import (
    BoundedConnection,
    SilentServerError,
)

#: How often two connections are compared before they count as having sessions of their own. While
#: others use the pooler, too, two that share meet in one session by chance: a comparison misses
#: that once in four times at most (two sessions), so 16 do once in four thousand million.
ROUNDS = 16
#: How long the second connection waits for a session, in seconds.
WAIT_SECONDS = 1.0

_REFUSAL = (
    "expected a session of the ledger's own, got one that a pooler shares with others, as "
    "PgBouncer does in transaction mode; add pooler=transaction to the query of "
    "FAILSOFT_LEDGER_URL, or name the server itself or a pool in session mode"
)


def is_pooler_between(connection: BoundedConnection) -> bool:
    """Return whether the connection ends at a pooler.

    A pooler gives its clients numbers of its own for the request that cancels a statement, where
    a server gives its process's.
    """
    return _session_of(connection) != connection.pgconn.backend_pid


def refuse_shared_session(
    connection: BoundedConnection, connect: Callable[[], BoundedConnection], *, at_start: bool
) -> None:
    """Refuse a pooler that lends the session to others between two transactions.

    Args:
        connection: A connection to a pooler, on which nothing was set yet.
        connect: Opens another one the same way.
        at_start: Whether it is the first one of this process; a pooler that is set to another
            mode later is an outage and no wrong setting.

    Raises:
        ConfigurationError: It is shared.
        OperationalError: It is shared, and was not when the process began.
    """
    if _shares(connection, connect):
        if at_start:
            raise ConfigurationError(_REFUSAL)
        raise psycopg.OperationalError(_REFUSAL)


def _shares(connection: BoundedConnection, connect: Callable[[], BoundedConnection]) -> bool:
    mine = _session_of(connection)
    second = connect()
    try:
        for _ in range(ROUNDS):
            with RUNNING.answers_within(WAIT_SECONDS):
                other = _session_of(second)
            if other == mine or _session_of(connection) != mine:
                return True
    except SilentServerError:
        # There is no session for a second client while the first one keeps the last: as it does
        # where it has one of its own.
        return any(_session_of(connection) != mine for _ in range(ROUNDS))
    finally:
        second.close()
    return False


def _session_of(connection: BoundedConnection) -> int:
    found = connection.execute("SELECT pg_catalog.pg_backend_pid()", prepare=False).fetchone()
    assert found is not None  # noqa: S101 - it is one row, always
    return int(found[0])
