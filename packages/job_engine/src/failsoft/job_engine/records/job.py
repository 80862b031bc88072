"""The values that pass between the executor, the dispatcher and the ledger."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from failsoft.job_engine.policies.limits import NO_LIMITS, Limits
from failsoft.job_engine.policies.uniqueness import UniqueScope
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import JobState, Transition
from failsoft.job_engine.records.waits import Wait


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come, in its own words.

    Attributes:
        done: How much is done, in units of the job's own.
        total: How much there is to do; None where that is not known.
        note: What it does now.
        at: When the job said so.
    """

    done: int
    total: int | None
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One row of the ledger: everything known of a job; `ManualRetry` says what `retry_of` is.

    Of one that `is_pruned` no more is known than what its key stands for: its id, its name and
    queue, its payload's hash, and how and when it ended.
    """

    id: str
    name: str
    queue: str
    state: JobState
    engine: str | None
    epoch: int
    payload: str
    payload_sha: str
    created_at: datetime
    revision: int = 0
    idempotency_key: str | None = None
    priority: int = 0
    engines: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    claims: int = 0
    errors: int = 0
    crashes: int = 0
    releases: int = 0
    handoffs: int = 0
    pickups_missed: int = 0
    cancel_requested: bool = False
    result: str | None = None
    error: ErrorRecord | None = None
    progress: Progress | None = None
    run_at: datetime | None = None
    pickup_by: datetime | None = None
    lease_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    follow_ups: str | None = None
    waits_for: str | None = None
    expires_at: datetime | None = None
    unique_key: str | None = None
    unique_scope: UniqueScope | None = None
    unique_until: datetime | None = None
    limits: Limits = NO_LIMITS
    retry_of: str | None = None
    idempotency_root: str | None = None
    version: int = 1
    parent_id: str | None = None
    trace_context: str | None = None
    is_pruned: bool = False

    @property
    def is_unbegun(self) -> bool:
        """Return whether the job waits and no attempt has ever claimed it."""
        waits = self.state in (JobState.SCHEDULED, JobState.OFFERED)
        return waits and self.started_at is None

    @property
    def has_expired(self) -> bool:
        """Return whether the job was cancelled because it was not begun in time."""
        return self.state is JobState.CANCELLED and self.started_at is None and bool(self.error)


@dataclass(frozen=True, slots=True)
class Claim:
    """The authority of one attempt over one job, until it ends or is fenced.

    Attributes:
        claim_id: 128 random bits; with the epoch, the fencing token (rule 7).
        attempt: 1 for the first execution of the job, one more for each after it.
        lease: How long the authority lasts without renewal.
        depth: How many jobs invoked one another until it came to this one.
        is_limited: Whether the end of the attempt may leave room for another job.
        trace_context: The trace that the job belongs to, as `trace_context.kept` has it.
        age: How long ago the job was recorded when it was claimed; None where not known.
        waited: How long it was due then; None where not known, and for another attempt.
    """

    job_id: str
    epoch: int
    claim_id: str
    engine: str
    worker: str
    name: str
    queue: str
    payload: str
    attempt: int
    errors: int
    crashes: int
    releases: int
    lease: timedelta
    depth: int = 0
    idempotency_root: str | None = None
    version: int = 1
    is_limited: bool = False
    trace_context: str | None = None
    # No part of the authority: a claim that is read again is the same one.
    age: timedelta | None = field(default=None, compare=False)
    waited: timedelta | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a worker shows to claim a job: the offer's epoch and its own fresh claim id."""

    job_id: str
    epoch: int
    engine: str
    queue: str
    claim_id: str
    worker: str
    lease: timedelta


class StepKind(StrEnum):
    """What a step does, or that it may have been done.

    A branch ran beside others: they may be recorded in any order, and some of them not at all. An
    intent says that a `once` step was begun; its result turns it into `once` (rule 10). A wait
    says for what the job waits, and since when; what it waited for turns it into `answered`.
    """

    RUN = "run"
    BRANCH = "branch"
    SLEEP = "sleep"
    INTENT = "intent"
    ONCE = "once"
    WAIT = "wait"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A finished step: its place in the job and its result as JSON.

    Attributes:
        elapsed: How many seconds it took by the worker's steady clock; None where not known.
    """

    name: str
    seq: int
    kind: StepKind
    result: str
    epoch: int = 0
    recorded_at: datetime | None = None
    elapsed: float | None = None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How an attempt ended: the transition, and what it records.

    Attributes:
        delay: For a transition back to `scheduled`: how long to wait from now.
        run_at: The same as a moment; wins over `delay`.
        step: A step that is recorded in the same transaction (a sleep, a wait).
        wait: What wakes the job before its time.
        child: A job that is recorded in the same transaction, unless it is known.
    """

    transition: Transition
    result: str | None = None
    error: ErrorRecord | None = None
    delay: timedelta = timedelta(0)
    run_at: datetime | None = None
    step: StepRecord | None = None
    reason: str = ""
    wait: Wait | None = None
    child: NewJob | None = None


class TryOutcome(StrEnum):
    """What became of one try to hand a job to an engine."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DispatchTry:
    """One try to hand a job to an engine, kept so that any dispatch can be explained.

    Attributes:
        stage: How far it came: `flag`, `definition`, `breaker`, `workers`, `offer`, `pickup`.
        elapsed: Seconds spent on it.
    """

    engine: str
    epoch: int
    stage: str
    outcome: TryOutcome
    reason: str = ""
    elapsed: float = 0.0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One execution of a job, as the ledger keeps it.

    Attributes:
        outcome: The name of the transition that ended it; None while it runs.
        error: What it raised, or what befell it; None if it ended without an error.
        trace_context: Its trace, as `trace_context.kept` has it; None if it is not traced.
    """

    epoch: int
    claim_id: str
    engine: str
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: ErrorRecord | None = None
    trace_context: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a job's history (rule 22)."""

    job_id: str
    n: int
    at: datetime
    actor: str
    kind: str
    state: JobState
    epoch: int
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker process says of itself with each beat; a process of before says nothing.

    Attributes:
        version: The release of Failsoft that it runs.
        python: The version of Python.
        jobs: How many definitions it has.
        busy: How many attempts it runs now.
        rss_kb: How much memory it has, in KiB; 0 where that is not known.
        breakers: The engines whose breakers are open in it.
    """

    version: str = ""
    python: str = ""
    jobs: int = 0
    busy: int = 0
    rss_kb: int = 0
    breakers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker process, known by its boot id and not by its host name.

    Attributes:
        machine: What its process id is unique in: a boot of a kernel and a namespace of it; empty
            where that is not known.
        birth: When the process began, in the machine's own measure; a later process
            with its id has another.
    """

    boot_id: str
    engine: str
    queue: str
    host: str
    pid: int
    slots: int
    started_at: datetime | None = None
    seen_at: datetime | None = None
    machine: str = ""
    birth: str = ""
    live_until: datetime | None = None
    info: WorkerInfo = WorkerInfo()


class CancelOutcome(StrEnum):
    """What a cancel came to (R20)."""

    CANCELLED = "cancelled"
    REQUESTED = "requested"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A signing key without its secret.

    Attributes:
        kid: Its id, which every message that it signed names.
        created_at: When it was made.
        ends_at: Until when its messages are accepted; None while it is not to end.
        age: How old it is, on the ledger's clock.
    """

    kid: str
    created_at: datetime
    ends_at: datetime | None
    age: timedelta
