"""What the demo has shown: pure functions from the measurements to the verdict."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from failsoft.job_engine.records.job import AttemptRecord, HistoryEntry
from failsoft.job_engine.records.states import CLAIM, SUCCEED, JobState

#: Ends that are no success, and no loss either: an operator sees them.
_FAILED = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.HELD})


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What the ledger holds of one job after the demo.

    Attributes:
        state: The state it is in.
        attempts: Its executions.
        events: Its history.
        step_epochs: The epoch in which each of its steps was recorded.
    """

    state: JobState
    attempts: Sequence[AttemptRecord]
    events: Sequence[HistoryEntry]
    step_epochs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was measured.

    Attributes:
        engines: The engine that failed, and its fallback.
        dispatched: The ids of all jobs that were dispatched.
        after_failback: The ids of those dispatched after the first engine got offers again.
        jobs: What the ledger holds, by job id.
        rows_expected: The key of each row of the data set.
        rows_found: The key of each row of the target table.
        webhooks_expected: How many webhooks were dispatched.
        webhooks_unique: How many different ones the receiver took.
        webhooks_taken: How many it took, repeated ones included.
        returned: How many messages of before the killed server had when it was started again.
        refused: How many stale messages its new workers refused.
        failover: The time from the kill until the fallback accepted a job; None if it never did.
        by_ledger: How many jobs each ledger holds, where there are several.
    """

    engines: Sequence[str]
    dispatched: Sequence[str]
    after_failback: Sequence[str]
    jobs: Mapping[str, JobFacts]
    rows_expected: Sequence[str]
    rows_found: Sequence[str]
    webhooks_expected: int
    webhooks_unique: int
    webhooks_taken: int
    returned: int
    refused: int
    failover: timedelta | None
    by_ledger: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The numbers of the demo, in the order they are printed.

    Attributes:
        dispatched: Jobs that dispatching accepted.
        succeeded: Those of them that succeeded.
        failed: Those that ended otherwise, or are held.
        lost: Those that are not in the ledger, or have not ended.
        double_authority: Moments at which one job had two authorities, and rows that are twice
            in the target table.
        by_engine: Jobs by the engine that finished them.
        resumed_jobs: Jobs that one attempt began, another finished, and no step was repeated.
        rows_expected: Rows of the data set.
        rows_imported: Rows of it that are in the target table.
        webhooks_expected: Webhooks that were dispatched.
        webhooks_received_unique: Different webhooks that the receiver took.
        messages_returned: Messages of before that the killed server had when it was started again;
            none where it keeps them in memory.
        stale_messages_refused: Those that its new workers refused.
        failover_ms: The time from the kill until the fallback accepted a job.
        failed_back: Whether jobs dispatched after the failback ran on the first engine.
        by_ledger: Jobs by the ledger that holds them, where there are several.
    """

    dispatched: int
    succeeded: int
    failed: int
    lost: int
    double_authority: int
    by_engine: Mapping[str, int]
    resumed_jobs: int
    rows_expected: int
    rows_imported: int
    webhooks_expected: int
    webhooks_received_unique: int
    messages_returned: int
    stale_messages_refused: int
    failover_ms: float | None
    failed_back: bool
    by_ledger: Mapping[str, int] = field(default_factory=dict)


def judge(evidence: Evidence) -> Verdict:
    """Return the numbers that the evidence shows."""
    jobs = evidence.jobs
    states = Counter(jobs[each].state for each in evidence.dispatched if each in jobs)
    succeeded, failed = states[JobState.SUCCEEDED], sum(states[each] for each in _FAILED)
    return Verdict(
        dispatched=len(evidence.dispatched),
        succeeded=succeeded,
        failed=failed,
        lost=len(evidence.dispatched) - succeeded - failed,
        double_authority=sum(map(double_authorities, jobs.values()))
        + repeated(evidence.rows_found),
        by_engine=by_engine(jobs.values(), evidence.engines),
        resumed_jobs=sum(map(resumed, jobs.values())),
        rows_expected=len(evidence.rows_expected),
        rows_imported=len(set(evidence.rows_expected) & set(evidence.rows_found)),
        webhooks_expected=evidence.webhooks_expected,
        webhooks_received_unique=evidence.webhooks_unique,
        messages_returned=evidence.returned,
        stale_messages_refused=evidence.refused,
        failover_ms=_milliseconds(evidence.failover),
        failed_back=any(
            finished_on(jobs[each]) == evidence.engines[0]
            for each in evidence.after_failback
            if each in jobs
        ),
        by_ledger=evidence.by_ledger,
    )


def problems(verdict: Verdict) -> Sequence[str]:
    """Return the conditions that the demo did not meet."""
    return [words for words, holds in _CONDITIONS.items() if not holds(verdict)]


_CONDITIONS: Mapping[str, Callable[[Verdict], bool]] = {
    "jobs were lost": lambda v: v.lost == 0,
    "jobs failed": lambda v: v.failed == 0,
    "jobs had two authorities": lambda v: v.double_authority == 0,
    "rows are missing": lambda v: v.rows_imported == v.rows_expected,
    "webhooks are missing": lambda v: v.webhooks_received_unique == v.webhooks_expected,
    "the import was not resumed by another attempt": lambda v: v.resumed_jobs > 0,
    "no stale message was refused": lambda v: (
        v.stale_messages_refused > 0 or not v.messages_returned
    ),
    "no job was accepted by the fallback after the kill": lambda v: v.failover_ms is not None,
    "dispatch did not fail back": lambda v: v.failed_back,
    "a ledger got no job": lambda v: all(v.by_ledger.values()),
    "jobs are in no ledger, or in two": lambda v: (
        not v.by_ledger or sum(v.by_ledger.values()) == v.dispatched
    ),
}


def double_authorities(job: JobFacts) -> int:
    """Count the moments at which a job had, or may have had, more than one authority.

    Those are an epoch that was claimed more than once, an attempt that began before the previous
    one had ended, and a job that ended more than once.
    """
    claimed = repeated([event.epoch for event in job.events if event.kind == CLAIM.name])
    attempted = repeated([attempt.epoch for attempt in job.attempts])
    ends = sum(event.state.is_terminal for event in job.events)
    return max(claimed, attempted) + _overlaps(job.attempts) + max(0, ends - 1)


def _overlaps(attempts: Sequence[AttemptRecord]) -> int:
    in_order = sorted(attempts, key=lambda attempt: attempt.started_at)
    return sum(
        earlier.ended_at is None or later.started_at < earlier.ended_at
        for earlier, later in pairwise(in_order)
    )


def repeated(keys: Sequence[object]) -> int:
    """Count the keys that occur earlier in the sequence."""
    return len(keys) - len(set(keys))


def finished_on(job: JobFacts) -> str | None:
    """Return the engine of the attempt that succeeded; None if none did."""
    engines = (each.engine for each in job.attempts if each.outcome == SUCCEED.name)
    return next(engines, None)


def by_engine(jobs: Iterable[JobFacts], engines: Sequence[str]) -> Mapping[str, int]:
    """Count the jobs by the engine that finished them."""
    counts = Counter(map(finished_on, jobs))
    return {engine: counts[engine] for engine in engines}


def resumed(job: JobFacts) -> bool:
    """Whether a job succeeded in a later attempt than the one that recorded its first step."""
    if job.state is not JobState.SUCCEEDED or not job.step_epochs:
        return False
    return min(job.step_epochs) < max(attempt.epoch for attempt in job.attempts)


def _milliseconds(span: timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds() * 1000, 1)
