"""What was written before a connection broke counts only when a synchronous replica has it.

PostgreSQL gives up its wait for the replica when a session is ended (SIGTERM of the backend, a fast
shutdown): the commit stands on the primary alone, visible to all, although its client was told of
no success. A try that finds those rows would report a success that a fail-over takes back. So for a
while after a connection broke, each write is followed by a commit of its own that has to be
replicated, and with it all that was committed before; see docs/how-to/postgresql-cluster.md.
"""

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from sqlalchemy import Connection

from understudy.ledger.errors import is_outage, is_silence

T = TypeVar("T")

#: How long after a connection broke a write makes sure, in seconds: a session of before may hang on
#: its wait for the replica for about so long before it is given up.
DOUBT_SECONDS = 60.0
#: Writes a record that stands in no table, because a commit that has none does not wait: an id of a
#: transaction (`txid_current()`) is not enough. Every role may call it.
_COMMIT_RECORD = "SELECT pg_logical_emit_message(true, 'understudy', '')"


class Certainty:
    """Whether the writes of one process to one ledger have to make sure."""

    def __init__(self, make_sure: Callable[[], object]) -> None:
        """Prepare.

        Args:
            make_sure: Commits a transaction that a synchronous replica must have.
        """
        self._make_sure = make_sure
        self._doubted_until = float("-inf")

    def after(self, write: Callable[[], T]) -> T:
        """Run a write, and make sure of what it found if a connection broke lately."""
        try:
            result = write()
            if self._doubted_until > monotonic():
                self._make_sure()
        except Exception as error:
            if is_outage(error) or is_silence(error):
                self._doubted_until = monotonic() + DOUBT_SECONDS
            raise
        return result


def expect_replicated(connection: Connection) -> None:
    """Let the commit of this transaction wait for the replica although it has written nothing.

    For one that reports what another transaction wrote.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_COMMIT_RECORD)
