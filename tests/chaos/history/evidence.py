"""Everything a run leaves behind, put together job by job for the checks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType

from failsoft.job_engine import JobFailure
from failsoft.job_engine.invariants import History
from failsoft.job_engine.records.job import (
    AttemptRecord,
    HistoryEntry,
    JobRecord,
    StepKind,
    StepRecord,
)
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.job_engine.records.states import JobState
from tests.chaos.faults.schedule import Fired
from tests.chaos.history.timeline import FOR_EVER, STEADY, Timeline, mark_of
from tests.chaos.system.restarted_process import Freeze
from tests.chaos.workload.business_table import Effect
from tests.chaos.workload.definitions import SCHEDULED, UNREQUESTED, hook
from tests.chaos.workload.operations import Operation
from tests.chaos.workload.script import Script, script_of_hook
from tests.deployments.effect_log import ANSWERED, BEGUN, Line

#: The kinds of steps that do something.
WORK = frozenset({StepKind.RUN, StepKind.BRANCH, StepKind.ONCE})


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a job, and when its commit can have been, on the monotonic clock.

    The ledger stamps an event within its transaction, so not after the commit; and the event
    after it, which had to wait for that commit, is stamped not before it.
    """

    event: HistoryEntry
    opens: int
    closes: int


@dataclass(frozen=True)
class Case:
    """All evidence of one job.

    Attributes:
        history: What the ledger keeps.
        script: What it was to do.
        moments: Its events in time.
        lines: What its steps wrote down.
        operations: What was requested of its label, and of it by those who were given it instead.
        effects: The rows that its transactions left.
        time: What turns the ledger's time into the effect log's.
    """

    history: History
    script: Script
    lines: Sequence[Line] = ()
    operations: Sequence[Operation] = ()
    effects: Sequence[Effect] = ()
    freezes: Sequence[Freeze] = ()
    time: Timeline = STEADY

    @property
    def job_id(self) -> str:
        return self.history.job.id

    @property
    def name(self) -> str:
        return self.history.job.name

    @property
    def state(self) -> JobState:
        return self.history.job.state

    @property
    def was_requested(self) -> bool:
        """Return whether a request made it, and not a tick, a failure or another job."""
        return self.name not in UNREQUESTED

    @property
    def created_at(self) -> int:
        return self.at(self.history.job.created_at)

    @property
    def ended_at(self) -> int:
        """Return when it ended, as the ledger says; never, if it has not.

        The event says it: what a clock that was ahead has written in the row is mended.
        """
        ends = (event.at for event in self.history.events if event.state.is_terminal)
        return self.at(next(ends, None))

    @property
    def mark(self) -> int:
        """Return that of the clock by which it was recorded."""
        return mark_of(self.history.job.created_at)

    @property
    def first_begun(self) -> int:
        """Return when the effect log saw it first; never, if none did."""
        return min((line.at for line in self.lines), default=FOR_EVER)

    @property
    def begun(self) -> list[Line]:
        return [line for line in self.lines if line.phase == BEGUN]

    @property
    def moments(self) -> list[Moment]:
        stamps = [self.at(event.at) for event in self.history.events]
        ends = [*(later for _, later in pairwise(stamps)), FOR_EVER]
        return [Moment(*each) for each in zip(self.history.events, stamps, ends, strict=True)]

    def at(self, moment: datetime | None) -> int:
        """Return a moment of the ledger on the monotonic clock; None is never."""
        return self.time.at(moment)

    def attempt(self, number: int) -> AttemptRecord | None:
        """Return the attempt that a job's code knows by that number: the number of its claim."""
        attempts = self.history.attempts
        return attempts[number - 1] if 0 < number <= len(attempts) else None

    @property
    def done(self) -> list[StepRecord]:
        """Return the recorded steps that did something, sleeps and waits left out."""
        return [step for step in self.history.steps if step.kind in WORK]

    def met_of(self, step: str) -> list[Line]:
        """Return what a wait came to, in each attempt that passed it."""
        return [line for line in self.lines if line.phase == ANSWERED and line.step == step]

    def step(self, name: str, *kinds: StepKind) -> StepRecord | None:
        """Return a recorded step, if it is of one of these kinds."""
        found = (each for each in self.history.steps if each.name == name and each.kind in kinds)
        return next(found, None)

    def was_frozen(self, actor: str, since: int, until: int) -> bool:
        """Return whether a process was halted at any time between."""
        return any(
            freeze.actor == actor and freeze.began <= until and since <= freeze.ended
            for freeze in self.freezes
        )


@dataclass(frozen=True)
class Evidence:
    """All evidence of a run.

    Attributes:
        cases: By job id.
        labels: The jobs of each label.
        schedules: The schedules as they were left.
        strikes: What was done to the system, and when the machine itself stood still.
        workers: The process of each worker, by what the ledger calls the worker.
        pooled: The processes that reach the ledger by a pooler.
        orders: The label of each order that a transaction of the app's own wrote with its job.
    """

    cases: Mapping[str, Case]
    operations: Sequence[Operation] = ()
    lines: Sequence[Line] = ()
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    schedules: Sequence[ScheduleRecord] = ()
    strikes: Sequence[Fired] = ()
    workers: Mapping[str, str] = field(default_factory=dict)
    pooled: frozenset[str] = frozenset()
    orders: Sequence[str] = ()

    def of_name(self, name: str) -> list[Case]:
        """Return the cases of a definition."""
        return [case for case in self.cases.values() if case.name == name]


def gather(
    histories: Iterable[History],
    operations: Sequence[Operation],
    lines: Sequence[Line],
    *,
    effects: Mapping[str, Sequence[Effect]] = MappingProxyType({}),
    schedules: Sequence[ScheduleRecord] = (),
    freezes: Sequence[Freeze] = (),
    time: Timeline = STEADY,
) -> Evidence:
    """Put the evidence together."""
    by_job: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_job[line.job_id].append(line)
    requests = Requests(operations)
    cases: dict[str, Case] = {}
    labels: dict[str, list[str]] = defaultdict(list)
    for history in histories:
        job_id, script = history.job.id, script_of(history.job)
        cases[job_id] = Case(
            history,
            script,
            by_job[job_id],
            requests.of(script.label, job_id),
            effects.get(job_id, ()),
            freezes,
            time,
        )
        labels[script.label].append(job_id)
    return Evidence(cases, operations, lines, labels, schedules)


class Requests:
    """The operations, found by what they requested."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_label: dict[str, list[Operation]] = defaultdict(list)
        self._by_job: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations:
            self._by_label[operation.label].append(operation)
            if operation.job_id is not None:
                self._by_job[operation.job_id].append(operation)

    def of(self, label: str, job_id: str) -> list[Operation]:
        """Return the requests of a label, where the answer was no other job, and of a job."""
        mine = [each for each in self._by_label[label] if each.job_id in (None, job_id)]
        return mine + [each for each in self._by_job[job_id] if each.label != label]


def script_of(job: JobRecord) -> Script:
    """Return what a job was to do, under the label of the request or of what else made it."""
    if job.name == hook.name:
        return script_of_hook(JobFailure.model_validate_json(job.payload))
    script = Script.model_validate_json(job.payload)
    if job.name in SCHEDULED:
        return script.model_copy(update={"label": str(job.idempotency_key)})
    return script
