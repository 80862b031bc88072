"""Recording jobs in memory, each once: by its id, its idempotency key and its unique key (I10)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from failsoft.job_engine.ports.clock import spans_of_dispatch
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.testing.memory_ledger.reader import MemoryReader
from failsoft.testing.memory_ledger.rows import Row, new_row
from failsoft.testing.memory_ledger.store import Store


class MemoryDispatch(MemoryReader):
    """`record_job` and `record_jobs` in memory."""

    def __init__(self, store: Store, actor: str) -> None:
        super().__init__(store)
        self._actor = actor

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in one commit, already offered if there is a plan (rules 1 and 3)."""
        with self.transaction():
            return self._recorded(job, plan, self._actor)

    def record_jobs(
        self, jobs: Sequence[tuple[NewJob, OfferPlan | None]]
    ) -> Sequence[tuple[JobRecord, bool]]:
        """Record many jobs in one commit, or none of them."""
        with self.transaction(), self._all_or_nothing():
            return [self._recorded(job, plan, self._actor) for job, plan in jobs]

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        before = dict(self._store.rows)
        try:
            yield
        except BaseException:
            for job_id in self._store.rows.keys() - before.keys():
                del self._store.rows[job_id]
                self._store.history.pop(job_id, None)
            self._store.rows.update(before)
            raise

    def _recorded(self, job: NewJob, plan: OfferPlan | None, actor: str) -> tuple[JobRecord, bool]:
        known = self._existing(job)
        if known is not None:
            return known.record(), False
        row = new_row(job, plan, self._store.clock.now())
        self._store.rows[job.id] = row
        detail: dict[str, Any] = {"engine": plan.engine, "reason": plan.reason} if plan else {}
        detail |= spans_of_dispatch(job, offered=plan is not None)
        self._store.append_event(row, "dispatch", actor, detail)
        return row.record(), True

    def _existing(self, job: NewJob) -> Row | None:
        if job.id in self._store.rows:
            return self._store.rows[job.id]
        if job.idempotency_key is not None:
            key = (job.name, job.idempotency_key)
            for row in self._store.rows.values():
                if (row.name, row.idempotency_key) == key:
                    return row
        return self._store.holder_of(job.name, job.unique) if job.unique else None
