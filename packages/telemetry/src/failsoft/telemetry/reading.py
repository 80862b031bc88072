"""What is read of a ledger for one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from failsoft.job_engine.ports.console import OpenBreaker, Tally
from failsoft.job_engine.ports.measures import Figures, TableSize
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.schedules import ScheduleRecord

#: For how long a process that says that a breaker is open is believed.
FRESH = timedelta(seconds=30)


class ExporterLedger(Protocol):
    """The ledger as an exporter needs it.

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def figures(self) -> Figures:
        """Return the counters, and what is kept and waits."""
        ...

    def sizes(self) -> Sequence[TableSize]:
        """Return how large the tables are."""
        ...

    def tally(self) -> Sequence[Tally]:
        """Return how many jobs of each queue are in each state on each engine."""
        ...

    def breakers(self, fresh: timedelta) -> Sequence[OpenBreaker]:
        """Return the breakers that are open, as processes have said within a span."""
        ...

    def live_workers(self) -> Sequence[WorkerRecord]:
        """Return the workers whose last beat is fresh."""
        ...

    def pauses(self) -> Sequence[Pause]:
        """Return what is paused."""
        ...

    def schedules(self) -> tuple[datetime, Sequence[ScheduleRecord]]:
        """Return the database's clock and every schedule."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at the ledger has found."""

    figures: Figures
    tally: Sequence[Tally]
    breakers: Sequence[OpenBreaker]
    workers: Sequence[WorkerRecord]
    pauses: Sequence[Pause]
    schedules: Sequence[ScheduleRecord]


@dataclass(frozen=True, slots=True)
class Probed:
    """What a write probe of an engine found for a queue.

    Attributes:
        backlog: How many messages wait there; None where the engine does not say.
    """

    engine: str
    queue: str
    is_up: bool
    backlog: int | None


def read(ledger: ExporterLedger) -> Reading:
    """Look at a ledger.

    Raises:
        LedgerUnavailableError: If the database does not answer.
    """
    return Reading(
        ledger.figures(),
        ledger.tally(),
        ledger.breakers(FRESH),
        ledger.live_workers(),
        ledger.pauses(),
        ledger.schedules()[1],
    )
