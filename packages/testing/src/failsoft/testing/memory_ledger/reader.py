"""What is read of a ledger in memory, and which workers are alive."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Unpack

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.policies.limits import Limits, LimitUse
from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.ports.job_filter import JobFilter, values
from failsoft.job_engine.ports.ledger import RunningJob
from failsoft.job_engine.ports.measures import Batch, Figures, TableSize
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.groups import is_member
from failsoft.job_engine.records.job import (
    AttemptRecord,
    DispatchTry,
    HistoryEntry,
    JobRecord,
    KeyRecord,
    StepRecord,
    WorkerRecord,
)
from failsoft.job_engine.records.message import SigningKey
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger.clock_repair import mend_beats
from failsoft.testing.memory_ledger.keys import MemoryKeys
from failsoft.testing.memory_ledger.limits import uses, with_room
from failsoft.testing.memory_ledger.measures import MemoryMeasures
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import Connection, Store


class MemoryReader(Connection):
    """The reading half of `MemoryLedger`, what rescuers watch, and the workers' heartbeats."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._keys = MemoryKeys(store.clock)
        self._measures = MemoryMeasures(store)

    def due(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        """Return scheduled jobs whose time has come, the most urgent first."""
        with self.transaction():
            now = self._store.clock.now()
            waiting = [r for r in self._in(JobState.SCHEDULED) if not self._store.is_paused(r)]
            due = [row for row in waiting if row.run_at and row.run_at <= now]
            due = [row for row in due if reach is None or reach.may_offer(row)]
            limited = with_room(self._store, [row for row in due if row.limits])
            due = [*(row for row in due if not row.limits), *limited]
            due.sort(key=lambda row: (-row.priority, row.run_at))
            return [row.record() for row in due[:limit]]

    def unclaimed(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        """Return offered jobs whose pickup deadline has passed."""
        with self.transaction():
            now, offered = self._store.clock.now(), self._in(JobState.OFFERED)
            offered = [row for row in offered if reach is None or reach.may_look_into(row)]
            late = sorted((by, n, row) for n, row in enumerate(offered) if (by := row.pickup_by))
            of_lane = defaultdict[tuple[str | None, str], list[JobRecord]](list)
            for by, _, row in late:
                if by <= now:
                    of_lane[row.engine, row.queue].append(row.record())
            return [job for lane in sorted(of_lane) for job in of_lane[lane][:limit]]

    def hasten(self, engine: str, queue: str, beyond: timedelta) -> None:
        """Let the pickup deadlines of an engine's offers pass now that are further away."""
        with self.transaction():
            now = self._store.clock.now()
            for row in self._in(JobState.OFFERED):
                is_far = row.pickup_by is not None and row.pickup_by > now + beyond
                if is_far and (row.engine, row.queue) == (engine, queue):
                    self._store.rows[row.id] = replace(row, pickup_by=now)

    def running(self) -> Sequence[RunningJob]:
        """Return every running job, and whether its lease has run out."""
        with self.transaction():
            return [self._watched(row) for row in self._in(JobState.RUNNING)]

    def get(self, job_id: str) -> JobRecord:
        """Return a job."""
        with self.transaction():
            row = self._store.rows.get(job_id)
            if row is None:
                raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
            return row.record()

    def list_jobs(self, *, limit: int = 50, **wanted: Unpack[JobFilter]) -> Sequence[JobRecord]:
        """Return jobs, the newest first."""
        with self.transaction():
            ordered = sorted(self._store.rows.values(), key=lambda row: row.id)
            found = [row for row in ordered if fits(row, wanted)]
            found.sort(key=lambda row: row.created_at, reverse=True)
            return [row.record() for row in found[:limit]]

    def find_ids(self, beginning: str, limit: int) -> Sequence[str]:
        """Return the ids of jobs that begin so, in their order."""
        with self.transaction():
            found = [job_id for job_id in self._store.rows if job_id.startswith(beginning)]
            return sorted(found)[:limit]

    def steps(self, job_id: str) -> Sequence[StepRecord]:
        """Return the recorded steps in their order."""
        with self.transaction():
            return sorted(self._store.steps[job_id], key=lambda step: step.seq)

    def attempts(self, job_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts, the first first."""
        with self.transaction():
            return sorted(self._store.attempts[job_id].values(), key=lambda each: each.epoch)

    def tries(self, job_id: str) -> Sequence[DispatchTry]:
        """Return the dispatch tries, the first first."""
        with self.transaction():
            return list(self._store.tries[job_id])

    def events(self, job_id: str) -> Sequence[HistoryEntry]:
        """Return the history, the first event first."""
        with self.transaction():
            return list(self._store.history[job_id])

    def limit_uses(self, limits: Limits) -> Sequence[LimitUse]:
        """Return how much of the room is taken that the limits of a job leave."""
        with self.transaction():
            return uses(self._store, limits)

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        with self.transaction():
            counted = {state: len(self._in(state)) for state in JobState}
            return {state: count for state, count in counted.items() if count}

    def beat(self, worker: WorkerRecord, ttl: timedelta, measured: Batch | None = None) -> None:
        """Record a worker's heartbeat, valid for `ttl` from now, and what it has counted."""
        with self.transaction():
            self._measures.add(measured)
            now = self._store.clock.now()
            known = self._store.workers.get(worker.boot_id)
            until = now + ttl
            alive = replace(known or worker, seen_at=now, live_until=until, info=worker.info)
            self._store.workers[worker.boot_id] = replace(
                alive, started_at=known.started_at if known else now
            )

    def add_measures(self, batch: Batch) -> None:
        """Add the differences of a process; repeating it is harmless."""
        with self.transaction():
            self._measures.add(batch)

    def figures(self) -> Figures:
        """Return what an exporter reads."""
        with self.transaction():
            return self._measures.figures()

    def sizes(self) -> Sequence[TableSize]:
        """Return how many jobs and steps there are."""
        with self.transaction():
            return self._measures.sizes()

    def retire(self, boot_id: str) -> None:
        """Forget a worker that stops."""
        with self.transaction():
            self._store.workers.pop(boot_id, None)
            self._store.deaths.pop(boot_id, None)

    def live_workers(self) -> Sequence[WorkerRecord]:
        """Return the workers whose last beat is fresh."""
        with self.transaction():
            now = self._store.clock.now()
            mend_beats(self._store)
            known = self._store.workers.values()
            return [each for each in known if each.live_until and each.live_until > now]

    def mark_dead(self, worker: WorkerRecord) -> None:
        """Mark a worker process as dead, also one that never beat."""
        with self.transaction():
            now, boot = self._store.clock.now(), worker.boot_id
            if self._store.deaths.setdefault(boot, now) == now:
                dead = replace(worker, started_at=now, seen_at=now)
                known = self._store.workers.get(boot, dead)
                self._store.workers[boot] = replace(known, live_until=known.seen_at)

    def workers_on(self, machine: str) -> Sequence[WorkerRecord]:
        """Return the workers of a machine that are not marked as dead, however old their beat."""
        with self.transaction():
            known = self._store.workers.values()
            return [
                w for w in known if w.machine == machine and w.boot_id not in self._store.deaths
            ]

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return the keys that are valid, the one to sign with first."""
        with self.transaction():
            return self._keys.signing()

    def key_records(self) -> Sequence[KeyRecord]:
        """Return what is known of the valid keys but their secrets, in the same order."""
        with self.transaction():
            return self._keys.records()

    def rotate_keys(self, overlap: timedelta) -> str:
        """Add a key, let every other one end after the overlap, and delete those that have."""
        with self.transaction():
            return self._keys.rotate(overlap)

    def revoke_key(self, kid: str) -> bool:
        """End a key at once; make another one where none would be left to sign for good."""
        with self.transaction():
            return self._keys.revoke(kid)

    def forget_ended_keys(self) -> int:
        """Delete the keys that are no longer accepted; return how many."""
        with self.transaction():
            return self._keys.forget()

    def _in(self, state: JobState) -> list[Row]:
        return [row for row in self._store.rows.values() if row.state is state]

    def _watched(self, row: Row) -> RunningJob:
        now, lease = self._store.clock.now(), row.lease or timedelta(0)
        expired = row.lease_until is not None and (
            row.lease_until < now or row.lease_until > now + lease + SLACK
        )
        attempt = self._store.attempts[row.id][row.epoch]
        died_at = self._store.deaths.get(attempt.worker)
        is_orphan = died_at is not None and died_at >= attempt.started_at
        return RunningJob(row.id, row.epoch, row.revision, lease, expired, is_orphan)


def fits(row: Row, wanted: JobFilter, moment: str = "created_at") -> bool:
    """Return whether a filter chooses a row; `moment` is what its times compare."""
    return _fits_text(row, wanted) and all(
        (
            not wanted.get("states") or row.state in wanted.get("states", ()),
            _is_among(row.queue, wanted.get("queue")),
            _is_among(row.name, wanted.get("name")),
            _is_among(row.engine, wanted.get("engine")),
            wanted.get("key") in (None, row.idempotency_key),
            wanted.get("origin") in (None, row.retry_of),
            wanted.get("parent") in (None, row.parent_id),
            wanted.get("tag") is None or wanted.get("tag") in row.tags,
            _is_in_time(getattr(row, moment), wanted),
        )
    )


def _is_among(value: str | None, given: str | Sequence[str] | None) -> bool:
    return not values(given) or value in values(given)


def _is_in_time(moment: datetime | None, wanted: JobFilter) -> bool:
    since, until = wanted.get("since"), wanted.get("until")
    if moment is None:
        return since is until is None
    return (since is None or moment >= since) and (until is None or moment < until)


def _fits_text(row: Row, wanted: JobFilter) -> bool:
    group, kind = wanted.get("group"), wanted.get("error_type")
    return (
        row.id.startswith(wanted.get("id") or "")
        and (wanted.get("payload") or "") in row.payload
        and (group is None or is_member(row.id, group))
        and (kind is None or (row.error is not None and row.error.type == kind))
    )
