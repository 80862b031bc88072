"""What the demo reads of its ledgers: of one, or of several as if they were one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Unpack

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import (
    AttemptRecord,
    HistoryEntry,
    JobRecord,
    StepRecord,
    WorkerRecord,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger


class Ledgers:
    """Reads several ledgers; no id of a job is in two of them.

    Attributes:
        by_name: Each ledger by its name; one alone has none.
    """

    def __init__(self, by_name: Mapping[str, SqlLedger]) -> None:
        self.by_name = by_name

    def get(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            JobNotFoundError: None of them holds it.
        """
        return self._holding(job_id).get(job_id)

    def steps(self, job_id: str) -> Sequence[StepRecord]:
        """Return the recorded steps of a job; none if no ledger holds it."""
        return [step for each in self._all for step in each.steps(job_id)]

    def attempts(self, job_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts of a job, the first first."""
        return [attempt for each in self._all for attempt in each.attempts(job_id)]

    def events(self, job_id: str) -> Sequence[HistoryEntry]:
        """Return the history of a job."""
        return [event for each in self._all for event in each.events(job_id)]

    def list_jobs(self, *, limit: int = 50, **wanted: Unpack[JobFilter]) -> Sequence[JobRecord]:
        """Return jobs, ledger by ledger, of each the newest first."""
        return [job for each in self._all for job in each.list_jobs(limit=limit, **wanted)]

    def counts(self) -> Mapping[JobState, int]:
        """Return how many jobs are in each state, without those that notify people of the demo."""
        found: Counter[JobState] = Counter()
        for each in self._all:
            found.update(_counts(each))
        return found

    def live_workers(self) -> Sequence[WorkerRecord]:
        """Return the workers of all of them whose heartbeat is fresh."""
        return [worker for each in self._all for worker in each.live_workers()]

    def jobs_by_name(self) -> Mapping[str, int]:
        """Return how many jobs each ledger holds, counted as by `counts`."""
        return {name: sum(_counts(each).values()) for name, each in self.by_name.items()}

    @property
    def _all(self) -> Sequence[SqlLedger]:
        return list(self.by_name.values())

    def _holding(self, job_id: str) -> SqlLedger:
        for each in self._all:
            try:
                each.get(job_id)
            except JobNotFoundError:
                continue
            return each
        raise JobNotFoundError(f"expected the id of a job of the demo, got {job_id!r}")


def _counts(ledger: SqlLedger) -> Mapping[JobState, int]:
    # In this order: one that ends meanwhile counts as a job that has not ended.
    counts = Counter(ledger.counts())
    counts.subtract(job.state for job in ledger.list_jobs(name=send_notification.name))
    return counts
