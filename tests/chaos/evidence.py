"""Everything a run leaves behind, put together job by job for the checks."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.chaos.actor import Freeze
from tests.chaos.jobs import Deed
from tests.chaos.operations import Operation
from tests.chaos.witness import BEGIN, Line
from understudy.job_engine.invariants import History
from understudy.job_engine.records import AttemptRecord, EventRecord

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOR_EVER = 1 << 62
#: By how much the ledger's clock and the witness's may disagree, in microseconds.
TICK = 50_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a job, and when its commit can have been, on the monotonic clock.

    The ledger stamps an event within its transaction, so not after the commit; and the event
    after it, which had to wait for that commit, is stamped not before it.
    """

    event: EventRecord
    opens: int
    closes: int


@dataclass(frozen=True)
class Case:
    """All evidence of one job.

    Attributes:
        history: What the ledger keeps.
        deed: What it was to do.
        moments: Its events in time.
        lines: What its steps wrote down.
        operations: What was asked of it, that is: of its label.
        wall_minus_monotonic: What turns the ledger's time into the witness's, in microseconds.
    """

    history: History
    deed: Deed
    lines: Sequence[Line] = ()
    operations: Sequence[Operation] = ()
    freezes: Sequence[Freeze] = ()
    wall_minus_monotonic: int = 0

    @property
    def job_id(self) -> str:
        return self.history.job.id

    @property
    def begun(self) -> list[Line]:
        return [line for line in self.lines if line.phase == BEGIN]

    @property
    def moments(self) -> list[Moment]:
        stamps = [self.at(event.at) for event in self.history.events]
        ends = [*(later for _, later in pairwise(stamps)), FOR_EVER]
        return [Moment(*each) for each in zip(self.history.events, stamps, ends, strict=True)]

    def at(self, moment: datetime | None) -> int:
        """Return a moment of the ledger on the monotonic clock; None is never."""
        if moment is None:
            return FOR_EVER
        return (moment - EPOCH) // timedelta(microseconds=1) - self.wall_minus_monotonic

    def attempt(self, number: int) -> AttemptRecord | None:
        """Return the attempt that a job's code knows by that number: the number of its claim."""
        attempts = self.history.attempts
        return attempts[number - 1] if 0 < number <= len(attempts) else None

    def was_frozen(self, actor: str, since: int, until: int) -> bool:
        """Tell whether a process was halted at any time between."""
        return any(
            freeze.actor == actor and freeze.began <= until and since <= freeze.ended
            for freeze in self.freezes
        )


@dataclass(frozen=True)
class Evidence:
    """All evidence of a run.

    Attributes:
        cases: By job id.
        strangers: Lines and operations of jobs that the ledger does not have, by job id.
    """

    cases: Mapping[str, Case]
    operations: Sequence[Operation] = ()
    lines: Sequence[Line] = ()
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)


def gather(
    histories: Iterable[History],
    operations: Sequence[Operation],
    lines: Sequence[Line],
    *,
    freezes: Sequence[Freeze] = (),
    wall_minus_monotonic: int = 0,
) -> Evidence:
    """Put the evidence together."""
    by_job: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_job[line.job_id].append(line)
    by_label: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_label[operation.label].append(operation)
    cases: dict[str, Case] = {}
    labels: dict[str, list[str]] = defaultdict(list)
    for history in histories:
        deed = Deed(**json.loads(history.job.payload))
        job_id = history.job.id
        cases[job_id] = Case(
            history,
            deed,
            by_job[job_id],
            by_label[deed.label],
            freezes,
            wall_minus_monotonic,
        )
        labels[deed.label].append(job_id)
    return Evidence(cases, operations, lines, labels)
