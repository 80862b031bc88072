"""The ledger's clock of a run: that of its database, or of the host where it is a file."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.ledger.database.database import Database
from tests.chaos.history.timeline import RIGHT, Leap, marked
from tests.chaos.system.skew import Skew
from tests.deployments.effect_log import now
from tests.servers.postgresql.database_clock import DatabaseClock
from tests.servers.processes import PATIENCE, wait_until

#: Sets a clock ahead of what it is when it is right; False if it could not now.
Move = Callable[[timedelta], bool]


class MovedClock:
    """Sets the ledger's clock, and remembers when it did.

    Attributes:
        leaps: What was done to it, in its order.
    """

    def __init__(self, move: Move) -> None:
        """Begin with a clock that is right."""
        self.leaps: list[Leap] = []
        self._move = move

    def set(self, mark: int) -> None:
        """Set the clock ahead or back, or right; wait while nothing can reach it."""
        earliest = now()
        wait_until(lambda: self._move(marked(mark)), PATIENCE, "the clock is set")
        self.leaps.append(Leap(earliest, now(), mark))

    def heal(self) -> None:
        """Set it right, if it is not known to be."""
        if self.leaps and self.leaps[-1].mark != RIGHT:
            self.set(RIGHT)


def of_database(database: Database) -> MovedClock:
    """Take the place of a PostgreSQL database's clock, before anyone else connects.

    How far it is ahead is a row: it is replicated, and a promoted replica goes on with it.
    """
    clock = DatabaseClock(database)

    def move(ahead: timedelta) -> bool:
        # The same value again, where it is unknown whether it was taken.
        with suppress(LedgerUnavailableError):
            clock.set(ahead)
            return True
        return False

    return MovedClock(move)


def of_host(skew: Skew) -> MovedClock:
    """Take the clock of a host: of all the processes that have this skew."""

    def move(ahead: timedelta) -> bool:
        skew.set(ahead.total_seconds())
        return True

    return MovedClock(move)
