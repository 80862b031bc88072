"""What the invariants look at, and what they say."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from failsoft.job_engine.ports.ledger import LedgerReader
from failsoft.job_engine.records.job import AttemptRecord, HistoryEntry, JobRecord, StepRecord


@dataclass(frozen=True, slots=True)
class History:
    """Everything the ledger keeps of one job.

    Attributes:
        job: Its row.
        events: Its events by their number.
        attempts: Its attempts by their epoch.
        steps: Its recorded steps by their place.
    """

    job: JobRecord
    events: Sequence[HistoryEntry]
    attempts: Sequence[AttemptRecord]
    steps: Sequence[StepRecord]


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise broken by one job.

    Attributes:
        job_id: The job, or what else `about` says.
        invariant: `I1` to `I12`; the rule of the protocol, or the feature, where no promise
            says it.
        rule: What must be true.
        found: What is.
        events: Where in the history.
        about: What breaks it: a `job`, a `group`, a `schedule`.
    """

    job_id: str
    invariant: str
    rule: str
    found: str
    events: tuple[HistoryEntry, ...] = ()
    about: str = "job"


#: What a check finds: what is wrong, and the events that show it.
Finding = tuple[str, tuple[HistoryEntry, ...]]


#: From when to when moments prove nothing, for the clock was set back.
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be true of every history.

    Attributes:
        invariant: The promise it belongs to.
        rule: The promise in a sentence.
        find: Finds where a history breaks it.
        of_moments: Whether it compares moments that different processes wrote.
    """

    invariant: str
    rule: str
    find: Callable[[History], Iterator[Finding]]
    of_moments: bool = False


def is_unsure(moment: datetime | None, unsure: Iterable[Span]) -> bool:
    """Return whether a moment is of a time that the clock showed twice."""
    return moment is not None and any(since <= moment <= until for since, until in unsure)


def has_unsure_moments(history: History, unsure: Sequence[Span]) -> bool:
    """Return whether any moment of a history is."""
    moments = [
        *(event.at for event in history.events),
        *(moment for each in history.attempts for moment in (each.started_at, each.ended_at)),
        *(step.recorded_at for step in history.steps),
    ]
    return any(is_unsure(moment, unsure) for moment in moments)


def history_of(ledger: LedgerReader, job_id: str) -> History:
    """Read the history of a job that does not change meanwhile."""
    return History(
        ledger.get(job_id), ledger.events(job_id), ledger.attempts(job_id), ledger.steps(job_id)
    )
