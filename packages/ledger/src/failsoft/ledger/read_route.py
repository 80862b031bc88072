"""Where pages for people are read: a replica while it follows closely, else the ledger itself.

See docs/decisions/0104.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import text

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import ConfigurationError, LedgerError, LedgerUnavailableError
from failsoft.ledger.database.database import Database
from failsoft.ledger.ledger import SqlLedger

#: The farthest that a replica may be behind.
MOST_BEHIND = timedelta(seconds=10)
#: For how long a look at the replica counts, and how long after one in vain comes the next.
FRESH_SECONDS = 1.0
AGAIN_SECONDS = 10.0

logger: logging.Logger = logging.getLogger("failsoft.ledger")

# Live workers commit heartbeats, so the last commit that was replayed is never much older than the
# replica's state. Whether its receiver is connected says less: a partition is noticed late.
_BEHIND = text(
    """
    SELECT CASE WHEN pg_is_in_recovery() THEN
        EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END
    """
)


class ReadRoute:
    """The ledger that pages are read from; safe for several threads.

    A replica that is away, or is none any more, is not read until a later look finds it well. One
    that is farther behind than `MOST_BEHIND` is read only while the ledger itself does not answer.

    Attributes:
        behind: How far behind the ledger what is read may be; None while the ledger itself is read.
    """

    def __init__(
        self,
        primary: Callable[[], SqlLedger],
        replica: Callable[[], SqlLedger] | None,
        clock: Clock,
    ) -> None:
        """Read nothing yet.

        Args:
            primary: Opens the ledger, or returns it.
            replica: Opens the replica; None where there is none.
            clock: What the age of a look is measured by.
        """
        self.behind: timedelta | None = None
        self._primary = primary
        self._open = replica
        self._clock = clock
        self._replica: SqlLedger | None = None
        self._is_checked = False
        self._looking = threading.Lock()
        self._next_look = float("-inf")

    def ledger(self) -> SqlLedger:
        """Return the replica or the ledger.

        Raises:
            ConfigurationError: The replica is another ledger's.
            LedgerUnavailableError: The ledger cannot be opened, and no replica can be read.
        """
        # One thread looks; the others read meanwhile where the last look led.
        if self._open is not None and self._looking.acquire(blocking=False):
            try:
                self._look(self._open)
            finally:
                self._looking.release()
        replica = self._replica
        return self._primary() if replica is None or self.behind is None else replica

    def close(self) -> None:
        """Close the replica's connections."""
        if self._replica is not None:
            self._replica.database.close()

    def _look(self, opened: Callable[[], SqlLedger]) -> None:
        if self._clock.steady() < self._next_look:
            return
        was_read = self.behind is not None
        try:
            if self._replica is None:
                self._replica = opened()
            self._check(self._replica)
            self.behind = self._usable(lag(self._replica.database))
        except LedgerError as error:
            self.behind = None
            if was_read:
                logger.warning("the ledger is read in place of its replica: %s", error)
        pause = AGAIN_SECONDS if self.behind is None else FRESH_SECONDS
        self._next_look = self._clock.steady() + pause

    def _usable(self, behind: timedelta | None) -> timedelta:
        if behind is None:
            raise LedgerUnavailableError(
                "expected a replica in FAILSOFT_LEDGER_READ_URL, got a server that is none, or has "
                "replayed no commit yet"
            )
        if behind > MOST_BEHIND and self._is_there():
            raise LedgerUnavailableError(
                f"expected a last commit of at most {MOST_BEHIND.seconds} s ago on the replica, "
                f"got one of {behind.total_seconds():.0f} s"
            )
        return behind

    def _is_there(self) -> bool:
        try:
            self._primary().ledger_id()
        except LedgerError:
            return False
        return True

    def _check(self, replica: SqlLedger) -> None:
        """Refuse a replica of another ledger; while the ledger is away, that is left for later."""
        if self._is_checked:
            return
        try:
            wanted = self._primary().ledger_id()
        except LedgerError:
            return
        if replica.ledger_id() != wanted:
            raise ConfigurationError(
                "expected a replica of the ledger in FAILSOFT_LEDGER_READ_URL, got another ledger; "
                "name a standby of the server of FAILSOFT_LEDGER_URL, with the same database"
            )
        self._is_checked = True


def lag(database: Database) -> timedelta | None:
    """Return the age of the last commit that a replica has replayed; None if it is no replica.

    Raises:
        LedgerUnavailableError: It does not answer.
    """
    seconds: float | None = database.read(lambda c: c.execute(_BEHIND).scalar_one())
    # Clocks of two hosts differ: a commit of the future is one of now.
    return None if seconds is None else timedelta(seconds=max(0.0, seconds))
