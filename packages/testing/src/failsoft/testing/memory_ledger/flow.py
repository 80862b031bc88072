"""Chains and groups in a ledger in memory."""

from collections.abc import Sequence
from dataclasses import replace

from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    GroupNotFoundError,
    IdempotencyConflictError,
    JobNotFoundError,
)
from failsoft.job_engine.records.follow_ups import counts_in, with_waiting
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger.follow_ups import complete, insert, wait_for
from failsoft.testing.memory_ledger.reader import MemoryReader
from failsoft.testing.memory_ledger.rows import Row

ACTOR = "memory"


class MemoryFlow(MemoryReader):
    """`FlowLedger` in memory."""

    def record_chain(
        self, jobs: Sequence[NewJob], plan: OfferPlan | None
    ) -> tuple[Sequence[JobRecord], bool]:
        """Record the jobs of a chain, the first offered if there is a plan."""
        with self.transaction():
            rows = self._store.rows
            if all(job.id in rows for job in jobs):
                return [rows[job.id].record() for job in jobs], False
            behind = self._row_of(jobs[0].waits_for)
            if behind is not None and behind.state is JobState.SUCCEEDED:
                behind, jobs = None, [replace(jobs[0], waits_for=None), *jobs[1:]]
            plan = plan if behind is None else None
            if behind is not None:
                # Refuses one too many before anything is recorded.
                with_waiting(behind.follow_ups, jobs[0].id)
            before = dict(rows)
            for place, job in enumerate(jobs):
                if insert(self._store, job, plan if place == 0 else None, ACTOR) is None:
                    for added in rows.keys() - before.keys():
                        del rows[added], self._store.history[added]
                    raise _taken(job)
            if behind is not None:
                wait_for(self._store, behind, jobs[0].id)
            return [rows[job.id].record() for job in jobs], True

    def _row_of(self, job_id: str | None) -> Row | None:
        if job_id is not None and job_id not in self._store.rows:
            raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
        return None if job_id is None else self._store.rows[job_id]

    def record_group(
        self, group: GroupRecord, completion: NewJob | None, jobs: Sequence[NewJob]
    ) -> GroupRecord:
        """Record some jobs of a group, and the group with the first of them."""
        with self.transaction():
            rows, known = self._store.rows, self._store.groups.get(group.id)
            if known is not None and known.sha != group.sha:
                raise IdempotencyConflictError(
                    f"expected the jobs that group {group.id} was dispatched with, got others"
                )
            if known is not None and known.sealed:
                return known
            theirs = [job for job in jobs if job.id in rows]
            theirs = [job for job in theirs if not counts_in(rows[job.id].follow_ups, group.id)]
            theirs += [completion] if completion and known is None and completion.id in rows else []
            if theirs:
                raise _taken(theirs[0])
            known = known or replace(group, sealed=False)
            if completion is not None:
                insert(self._store, completion, None, ACTOR)
            new = sum(insert(self._store, job, None, ACTOR) is not None for job in jobs)
            sealed = known.sealed or group.sealed
            after = replace(known, total=known.total + new, sealed=sealed)
            self._store.groups[group.id] = after
            if after.is_over:
                complete(self._store, after)
            return after

    def group(self, group_id: str) -> GroupRecord:
        """Return a group and how many of its jobs have ended how."""
        with self.transaction():
            found = self._store.groups.get(group_id)
            if found is None:
                raise GroupNotFoundError(
                    f"expected the id of a group in the ledger, got {group_id!r}"
                )
            return found


def _taken(job: NewJob) -> DuplicateDispatchError:
    return DuplicateDispatchError(
        f"expected ids and keys that no other job has, got those of {job.id!r}"
    )
