"""The contract of the ledger's read side: what consoles and exporters read, and how they act.

Whatever a list has is read at the same cost however many jobs the ledger keeps. Raises, from every
method: `LedgerUnavailableError` if the database does not answer.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.limits import LimitUse
from failsoft.job_engine.ports.job_filter import JobFilter, as_json, checked
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import (
    AttemptRecord,
    CancelOutcome,
    DispatchTry,
    HistoryEntry,
    JobRecord,
    Progress,
    StepRecord,
)
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.job_engine.validation import Expect, check_said

T = TypeVar("T")

_EXPECT = Expect(OptionInvalidError, "audit: ")
#: The outcome of an action that found nothing to do.
UNCHANGED = "unchanged"

_BULK = Expect(OptionInvalidError, "bulk: ")
#: A record, and whether it is new.
_WITH_NEWS = 2

#: The most that a page has.
MOST_ON_A_PAGE = 200
#: Up to where matching jobs are counted; above it there are "at least" so many.
MOST_COUNTED = 10_000
#: The most dead letters that are grouped by their causes, and so much of an error's first line.
MOST_GROUPED = 10_000
MOST_OF_A_LINE = 160
#: The most jobs of one turn of a bulk, and the time after which a turn takes no further one.
MOST_IN_A_TURN = 500
TURN = timedelta(milliseconds=40)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: What it has, in the order of the list.
        after: The cursor of what comes next; None at the end of the list. Of no other list.
        looked_through: After how many rows the look for what stands in no index has stopped, with
            fewer items than there may be; it goes on from `after`. None where nothing was left out.
    """

    items: Sequence[T]
    after: str | None = None
    looked_through: int | None = None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job as a list shows it, without its payload.

    Attributes:
        first_engine: The engine that took its first offer; None where none did.
        error_type: The type of its last error.
    """

    id: str
    name: str
    queue: str
    state: JobState
    engine: str | None
    first_engine: str | None
    epoch: int
    claims: int
    handoffs: int
    priority: int
    tags: tuple[str, ...]
    cancel_requested: bool
    progress: Progress | None
    error_type: str | None
    idempotency_key: str | None
    retry_of: str | None
    parent_id: str | None
    created_at: datetime
    run_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs of a queue are in a state on an engine.

    Attributes:
        engine: The engine that they were offered to last; None for none.
        oldest_due: The earliest moment since when one of them waits to begin, due or offered; of
            those that are held or have failed, the earliest record; None where none waits.
    """

    queue: str
    engine: str | None
    state: JobState
    count: int
    oldest_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many jobs a filter chooses.

    Attributes:
        number: How many were counted.
        is_least: Whether there may be more of them: the count has stopped.
    """

    number: int
    is_least: bool = False


@dataclass(frozen=True, slots=True)
class Relations:
    """The jobs that a job belongs with.

    Attributes:
        origin: The job whose work it does again.
        again: The jobs that do its work again, the oldest first.
        parent: The job that invoked it.
        children: The jobs that it invoked, the oldest first.
        before: The job of its chain whose success lets it start.
        then: The job of its chain that its success lets start.
        hook: The job that its failure has set off.
        group: The group that counts its end, or that it completes.
    """

    origin: JobSummary | None = None
    again: Sequence[JobSummary] = ()
    parent: JobSummary | None = None
    children: Sequence[JobSummary] = ()
    before: JobSummary | None = None
    then: JobSummary | None = None
    hook: JobSummary | None = None
    group: GroupRecord | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the ledger keeps of a job, as of one moment."""

    job: JobRecord
    tries: Sequence[DispatchTry]
    attempts: Sequence[AttemptRecord]
    steps: Sequence[StepRecord]
    events: Sequence[HistoryEntry]
    relations: Relations


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action of a person, or of a program in a person's place.

    Attributes:
        id: Recorded once, however often.
        actor: Who acted.
        source: From where, as in `console 10.0.0.7` or `cli ada`.
        action: What, as in `cancel`.
        target_kind: To what kind of thing: `job`, `queue`, `definition`, `engine`, `schedule`,
            `route`, `bulk`, `key`.
        target: Its id or its name.
        reason: Why, in the actor's words.
        detail: What else belongs to it, as JSON values.
        outcome: What it came to: `done`, `unchanged`, `refused`, or a word of the action.
        at: When, on the database's clock; None before it is recorded.
    """

    id: str
    actor: str
    source: str
    action: str
    target_kind: str
    target: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "done"
    at: datetime | None = None


def checked_entry(entry: AuditEntry) -> None:
    """Refuse an entry that no ledger could keep.

    Raises:
        OptionInvalidError: It is one.
    """
    check_said(_EXPECT, entry.actor, entry.reason)
    _EXPECT.text("an id", entry.id, most=64)
    _EXPECT.text("a source", entry.source, most=128)
    _EXPECT.text("an action", entry.action, most=32)
    _EXPECT.text("a kind of target", entry.target_kind, most=16)
    _EXPECT.text("a target", entry.target, least=0, most=255)
    _EXPECT.text("an outcome", entry.outcome, most=32)


def outcome_of(entry: AuditEntry, result: object) -> str:
    """Return what an action came to, by what the method of the ledger returned that did it."""
    if isinstance(result, CancelOutcome):
        return str(result)
    is_old = isinstance(result, tuple) and len(result) == _WITH_NEWS and result[1] is False
    return UNCHANGED if is_old or result is None or result is False else entry.outcome


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people may have to learn of, recorded in the transaction of its cause.

    Attributes:
        id: Made of its cause, so that it is recorded once.
        kind: One of `failsoft.job_engine.policies.notifications.KINDS`.
        detail: What belongs to it, as JSON values.
        told_at: When it was handed to the rules of notifications: dispatched, put into a digest,
            or passed over where no rule chooses it; None before.
    """

    id: str
    at: datetime
    kind: str
    engine: str | None
    queue: str | None
    job_id: str | None
    detail: Mapping[str, Any]
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure of a minute.

    Attributes:
        minute: When the minute began.
        queue: Of which queue; empty for all.
        engine: On which engine; empty for all, and for none.
        metric: `scheduled`, `waiting`, `running`, `held`, `succeeded`, `failed` or `cancelled`; the
            last three are totals of all that ever ended so.
    """

    minute: datetime
    queue: str
    engine: str
    metric: str
    value: int


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A breaker that is open in a process, and that keeps offers from an engine.

    Attributes:
        boot_id: The process.
        since: When it opened.
        reason: The error that opened it.
        seen_at: When the process last said so.
    """

    boot_id: str
    engine: str
    since: datetime
    reason: str
    seen_at: datetime


class BulkAction(StrEnum):
    """What a bulk does to each job: cancels it, retries it, lets it go on, or gives it up."""

    CANCEL = "cancel"
    RETRY = "retry"
    RESUME = "resume"
    ABANDON = "abandon"


class BulkState(StrEnum):
    """Where a bulk stands."""

    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class NewBulk:
    """An action on all jobs that a filter chooses.

    Attributes:
        id: Starting the same again starts no second one.
        expected: How many jobs the actor was shown.
    """

    id: str
    action: BulkAction
    filter: JobFilter
    expected: int
    actor: str
    source: str
    reason: str = ""


#: The states of the jobs that an action may be done to.
_OF_ACTION = {
    BulkAction.CANCEL: frozenset(JobState) - TERMINAL,
    BulkAction.RETRY: frozenset({JobState.FAILED}),
    BulkAction.RESUME: frozenset({JobState.HELD}),
    BulkAction.ABANDON: frozenset({JobState.HELD}),
}


def bulk_filter(action: BulkAction, wanted: JobFilter) -> JobFilter:
    """Return which jobs an action is done to: of what a filter chooses, those it may be done to.

    Raises:
        OptionInvalidError: It cannot be a filter, or names only states that the action is not for.
    """
    chosen, may = checked(wanted), _OF_ACTION[action]
    states = sorted(may.intersection(chosen.get("states") or may))
    _BULK.that(
        states, f"a filter with jobs that are {' or '.join(sorted(may))} to {action}", "none"
    )
    return {**chosen, "states": tuple(states)}


def bulk_entry(bulk: NewBulk) -> AuditEntry:
    """Return the entry in the audit of a bulk that is started.

    Raises:
        OptionInvalidError: The bulk cannot be one.
    """
    _BULK.whole("an expected number", bulk.expected, least=0)
    _BULK.text("an id", bulk.id, most=64)
    detail = {"filter": json.loads(as_json(bulk.filter)), "expected": bulk.expected}
    action = f"bulk.{bulk.action}"
    given = (bulk.id, bulk.actor, bulk.source, action, "bulk", bulk.id, bulk.reason)
    return AuditEntry(*given, detail=detail)


@dataclass(frozen=True, slots=True)
class BulkRecord:
    """An action on all jobs that a filter chooses, and how far it has come.

    Attributes:
        done: To how many jobs it was done.
        failed: How many were refused, as those whose state has changed meanwhile.
        at: When it was started.
        ended_at: When it was through, or stopped.
    """

    id: str
    action: BulkAction
    filter: JobFilter
    expected: int
    actor: str
    source: str
    reason: str
    state: BulkState
    done: int
    failed: int
    at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """The names that jobs of the ledger have."""

    queues: Sequence[str]
    names: Sequence[str]
    engines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for an event, or for the end of a job that it invoked.

    Attributes:
        step: The step that waits.
        since: When it began to.
        until: When its time is up; None where it waits for as long as it takes.
        event: The name of the event; None where the ledger does not keep it, and for a job.
        key: The key that it waits under; None for an event that is sent to this job.
        child_id: The job whose end it waits for; None for an event.
    """

    job: JobSummary
    step: str
    since: datetime
    until: datetime | None = None
    event: str | None = None
    key: str | None = None
    child_id: str | None = None


def waiting_of(job: JobSummary, step: StepRecord, since: datetime) -> Waiting:
    """Return what a job waits for, by the note of its step."""
    note = json.loads(step.result)
    seconds = note.get("timeout_s")
    return Waiting(
        job,
        step.name,
        since,
        None if seconds is None else since + timedelta(seconds=seconds),
        note.get("event"),
        note.get("key"),
        note.get("job"),
    )


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key of limits, and how the jobs stand that share its room.

    Attributes:
        name: The definition of one of them.
        use: The limit that one of them has, and how much of the room is taken.
        waiting: How many of them wait to be offered, whatever for.
        next_room: When there is room again at the latest; None where there is, or where it comes
            with the end of a job.
    """

    name: str
    use: LimitUse
    waiting: Count
    next_room: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Dead letters that failed alike.

    Attributes:
        name: Their definition.
        error_type: The type of their errors; `unknown` where none is kept.
        line: The first line of the errors' text, of 160 characters at most.
        count: How many they are.
        first: When the first of them ended.
        last: When the last did.
        engines: The engines that they were offered to last.
        newest: The job that ended last.
    """

    name: str
    error_type: str
    line: str
    count: int
    first: datetime
    last: datetime
    engines: frozenset[str]
    newest: str


@dataclass(frozen=True, slots=True)
class Causes:
    """What the newest dead letters failed with.

    Attributes:
        items: Those of the most jobs first.
        jobs: How many jobs they are of together.
        is_least: Whether there are older dead letters that were not looked at.
    """

    items: Sequence[Cause]
    jobs: int
    is_least: bool = False


class JobLists(Protocol):
    """What is read of many jobs."""

    def find(
        self, wanted: JobFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[JobSummary]:
        """Return the jobs that a filter chooses, the newest first.

        Failed jobs alone, and cancelled ones alone, come in the order of their ends, others in that
        in which they were recorded, ties by id; those chosen by the beginning of an id, or by a
        group, in the order of their ids. What stands in no index is looked for among
        `MOST_LOOKED_THROUGH` rows at most and for a short time; a page says where that stopped.

        Args:
            wanted: See `JobFilter`. A queue or a name that no job has finds nothing.
            cursor: `Page.after` of the page before.
            limit: How many, up to `MOST_ON_A_PAGE`.

        Raises:
            OptionInvalidError: For a filter, a cursor or a limit that cannot be one; a cursor of
                another filter is refused.
        """
        ...

    def records(self, ids: Sequence[str]) -> Sequence[JobRecord]:
        """Return whole jobs, `MOST_ON_A_PAGE` at most, in the order given; without those gone."""
        ...

    def count(self, wanted: JobFilter, most: int = MOST_COUNTED) -> Count:
        """Count the jobs that a filter chooses, up to a number.

        Raises:
            OptionInvalidError: As for `find`.
        """
        ...

    def tally(self) -> Sequence[Tally]:
        """Return how many jobs of each queue are in each state on each engine.

        Those that have succeeded or were cancelled are left out: `LedgerReader.counts` has them.
        """
        ...

    def causes(self) -> Causes:
        """Group the dead letters by definition, type of error and first line of its text.

        The newest of them, `MOST_GROUPED` at most, and no more than there is time for.
        """
        ...

    def known(self) -> Known:
        """Return the names that jobs of the ledger have, each in its order."""
        ...

    def groups(self, cursor: str | None = None, limit: int = 50) -> Page[GroupRecord]:
        """Return the groups, the newest first."""
        ...

    def chains(self, cursor: str | None = None, limit: int = 50) -> Page[JobSummary]:
        """Return the first jobs of the chains, the newest first.

        A chain is known by its first job, whose id ends with its place: one that was given an id
        of its own is left out. No index has chains: a page says where the look for them has
        stopped, as that of `find`.
        """
        ...


class Standing(Protocol):
    """What jobs stand still for."""

    def waits(self, cursor: str | None = None, limit: int = 50) -> Page[Waiting]:
        """Return the jobs that wait for events and for other jobs.

        Those that wait for the same stand together, by their ids.

        Raises:
            OptionInvalidError: For a cursor or a limit that cannot be one.
        """
        ...

    def limit_keys(self, cursor: str | None = None, limit: int = 50) -> Page[KeyUse]:
        """Return the keys of limits that jobs have which have not ended, in the order of the keys.

        A key that is under a concurrency limit and under a rate is there twice.

        Raises:
            OptionInvalidError: For a cursor or a limit that cannot be one.
        """
        ...


class JobStories(Protocol):
    """What is read of one job."""

    def story(self, job_id: str) -> Story:
        """Return everything that the ledger keeps of a job, read in one transaction.

        Raises:
            JobNotFoundError: If there is no such job.
        """
        ...

    def relatives(self, job_id: str) -> Relations:
        """Return the jobs that a job belongs with; none for a job that is not there."""
        ...


class Activity(Protocol):
    """What has happened, and what people have done."""

    def acting(self, entry: AuditEntry) -> AbstractContextManager[None]:
        """Record an action in the transaction that does it.

        What this thread writes within the block is the action, and the entry is recorded with it:
        both or neither. Its outcome is `unchanged` where nothing was to do, a `CancelOutcome` of a
        cancel, and otherwise the entry's own.
        """
        ...

    def audit(self, entry: AuditEntry) -> None:
        """Record an action that has changed nothing, as one that was refused."""
        ...

    def audits(
        self, cursor: str | None = None, limit: int = 50, target: str | None = None
    ) -> Page[AuditEntry]:
        """Return the actions, or those on one target, the newest first."""
        ...

    def notices(self, cursor: str | None = None, limit: int = 50) -> Page[Notice]:
        """Return the notices, the newest first."""
        ...

    def breakers(self, fresh: timedelta) -> Sequence[OpenBreaker]:
        """Return the breakers that are open, as processes have said within a span."""
        ...

    def note_breakers(self, boot_id: str, open_: Mapping[str, tuple[timedelta, str]]) -> None:
        """Keep which breakers of a process are open: by engine since how long, and why."""
        ...

    def note_switch(self, engine: str, direction: str, detail: Mapping[str, Any]) -> bool:
        """Record a notice that jobs left an engine (`over`) or that it has them again (`back`).

        Once for each engine and minute, whatever processes say so; return whether it was this call.
        """
        ...

    def take_sample(self) -> bool:
        """Keep the figures of this minute, once; return whether it was this call that did."""
        ...

    def samples(self, since: datetime) -> Sequence[Sample]:
        """Return the figures of the minutes since a moment, the oldest first."""
        ...


class BulkActions(Protocol):
    """Actions on all jobs that a filter chooses, in turns; one that was cut off goes on."""

    def bulk_start(self, bulk: NewBulk) -> BulkRecord:
        """Record a bulk, with its entry in the audit; return it as it is if it is known.

        Raises:
            OptionInvalidError: For a filter that cannot be one.
        """
        ...

    def bulk_turn(self, bulk_id: str, most: int = MOST_IN_A_TURN) -> BulkRecord:
        """Do the action to the next jobs that the filter chooses, in one transaction.

        Of those recorded before the bulk was started. The transaction moves the bulk on as well: a
        turn whose process was killed is done as a whole or not at all. It takes no further job
        after `TURN`. The turn of a bulk that has ended changes nothing.

        Raises:
            NotFoundError: If there is no such bulk.
        """
        ...

    def bulk_stop(self, bulk_id: str) -> BulkRecord:
        """Let a bulk have no further turn.

        Raises:
            NotFoundError: If there is no such bulk.
        """
        ...

    def bulk(self, bulk_id: str) -> BulkRecord:
        """Return a bulk.

        Raises:
            NotFoundError: If there is no such bulk.
        """
        ...

    def bulks(self, cursor: str | None = None, limit: int = 50) -> Page[BulkRecord]:
        """Return the bulks, the newest first."""
        ...


class ConsoleLedger(JobLists, Standing, JobStories, Activity, BulkActions, Protocol):
    """The ledger as a console and an exporter need it."""
