"""The part of the ledger's contract that is about jobs which wait; see `ports`."""

from collections.abc import Sequence
from typing import Protocol

from failsoft.job_engine.policies.uniqueness import UniqueScope
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob


class ExpiryLedger(Protocol):
    """What may happen to a job that waits and that no attempt has begun."""

    def expired(self, limit: int) -> Sequence[JobRecord]:
        """Return jobs that should have begun by now and have not, the oldest first."""
        ...

    def expire(self, seen: JobRecord) -> JobRecord | None:
        """Cancel a job that has expired; None if it is no longer as it was seen."""
        ...

    def replace(self, seen: JobRecord, new: NewJob) -> JobRecord | None:
        """Give a job that was not begun the payload and the options of another dispatch.

        It is `scheduled` then, due when `new` says, and every message before is void (rule 5);
        its id, its key and its place in the history stay. None if it is no longer as it was
        seen.
        """
        ...


def holds_unique_key(job: JobRecord) -> bool:
    """Return whether a job stands in the way of others with its key, as long as time allows."""
    if job.unique_key is None or job.unique_scope is None:
        return False
    holds = {
        UniqueScope.INCOMPLETE: not job.state.is_terminal,
        UniqueScope.UNBEGUN: job.is_unbegun,
        UniqueScope.PERIOD: True,
    }
    return holds[job.unique_scope]
