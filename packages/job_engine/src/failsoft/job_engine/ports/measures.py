"""The contract of the measures: counters and histograms of all processes, and an exporter's view.

A counter that no row of a job holds is kept in the process that counts, and its differences are
added to the ledger with a write that the process makes anyway. They survive the process, and
pruning. Raises, from every method: `LedgerUnavailableError` if the database does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

#: The bucket of a histogram whose count is the sum of what was observed, in microseconds.
SUM = "sum"
#: The measure of the notices, by their engine and, as labels, their kind.
NOTICES = "notices"


class Series(NamedTuple):
    """What one count belongs to.

    Attributes:
        measure: What is counted.
        name: The job's name; empty where it is of no job.
        labels: What else distinguishes them, as in `offer/accepted`; empty for nothing.
        le: The upper bound of a histogram's bucket, as in `0.25` or `+Inf`, whose count has no
            smaller bucket in it; `SUM` for the sum; empty for a counter.
    """

    measure: str
    name: str = ""
    queue: str = ""
    engine: str = ""
    labels: str = ""
    le: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Differences of one process that are added once, however often they are written.

    Attributes:
        id: What identifies it.
        after: The batch of this process that was written before; empty for none.
    """

    id: str
    after: str
    counts: Mapping[Series, int]


@dataclass(frozen=True, slots=True)
class Ended:
    """How many jobs have ever ended so; pruning takes none away.

    Attributes:
        engine: The last engine that they were offered to; empty for none.
    """

    name: str
    queue: str
    engine: str
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class Failed:
    """How many jobs of a name have failed and are kept."""

    name: str
    queue: str
    count: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large a table is.

    Attributes:
        table: Its name without the prefix; `all` for the whole of a SQLite file.
        rows: How many rows it has, estimated on PostgreSQL; None for `all`.
        bytes: With its indexes; None where the database does not tell it of a table.
    """

    table: str
    rows: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What an exporter reads besides jobs in their states, workers, pauses and schedules.

    Attributes:
        now: The database's clock.
        counts: Every count of every process.
        limited: How many due jobs of each name have no room under their limits.
        waits: How many jobs wait for an `event`, for another `job`, or `sleep`.
    """

    now: datetime
    counts: Mapping[Series, int]
    ended: Sequence[Ended]
    failed: Sequence[Failed]
    limited: Mapping[str, int]
    waits: Mapping[str, int]


class MeasureLedger(Protocol):
    """The measures of all processes."""

    def add_measures(self, batch: Batch) -> None:
        """Add the differences of a process; repeating it is harmless."""
        ...

    def figures(self) -> Figures:
        """Return what an exporter reads, in one transaction."""
        ...

    def sizes(self) -> Sequence[TableSize]:
        """Return how large the tables are; on a large SQLite file it takes seconds."""
        ...
