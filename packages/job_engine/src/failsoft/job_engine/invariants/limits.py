"""What must be true of the attempts of all jobs that share a limit (I12).

Moments are compared that different processes wrote. On PostgreSQL they are of one clock; on
SQLite a clock of the host that was set back may let attempts seem to overlap that did not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from failsoft.job_engine.invariants.history import Violation
from failsoft.job_engine.policies.limits import Limit

_RUN = "no more jobs of a key run at once than their limit says"
_BEGIN = "no more attempts of a key begin within a period than their limit says"


@dataclass(frozen=True, slots=True)
class LimitedAttempt:
    """An attempt of a job that is under a limit.

    Attributes:
        limit: The limit, one of its job's.
    """

    job_id: str
    epoch: int
    limit: Limit
    started_at: datetime
    ended_at: datetime | None


def beyond_their_limit(attempts: Iterable[LimitedAttempt]) -> Iterator[Violation]:
    """Find the attempts that began although their limit left no room.

    Args:
        attempts: Those under a limit, by its key and then by when they began.
    """
    for _, sharing in groupby(attempts, lambda attempt: attempt.limit.key):
        counted: list[LimitedAttempt] = []
        for attempt in sharing:
            counted = [other for other in counted if _counts(other, attempt)]
            counted.append(attempt)
            if len(counted) > attempt.limit.most and _counts(attempt, attempt):
                yield _violation(attempt, len(counted))


def _counts(other: LimitedAttempt, attempt: LimitedAttempt) -> bool:
    """Return whether an attempt was in the way of one that began later."""
    period = attempt.limit.period
    if period is not None:
        return other.started_at > attempt.started_at - period
    return other.ended_at is None or other.ended_at > attempt.started_at


def _violation(attempt: LimitedAttempt, count: int) -> Violation:
    limit = attempt.limit
    which = f"the attempt of epoch {attempt.epoch} is the {count}. of key {limit.key[:12]}"
    if limit.period is None:
        return Violation(attempt.job_id, "I12", _RUN, f"{which}; {limit.most} may run")
    found = f"{which} within {limit.period}; {limit.most} may begin"
    return Violation(attempt.job_id, "I12", _BEGIN, found)
