"""Heartbeats by a steady clock: a worker whose beat stands still is dead, whatever its date."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.records.job import WorkerRecord

#: A worker whose beat stood still for this many times its TTL is dead.
TTLS_STILL = 3


class Beats:
    """The beats of the workers that are live by the ledger's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched: dict[str, tuple[datetime | None, float]] = {}

    def fresh(self, live: Iterable[WorkerRecord]) -> Sequence[WorkerRecord]:
        """Return those of the live workers whose beat does not stand still."""
        now, found = self._clock.steady(), list(live)
        self._watched = {worker.boot_id: self._seen(worker, now) for worker in found}
        return [worker for worker in found if not self._stands_still(worker, now)]

    def _seen(self, worker: WorkerRecord, now: float) -> tuple[datetime | None, float]:
        before = self._watched.get(worker.boot_id)
        return before if before and before[0] == worker.seen_at else (worker.seen_at, now)

    def _stands_still(self, worker: WorkerRecord, now: float) -> bool:
        if worker.seen_at is None or worker.live_until is None:
            return False
        ttl = (worker.live_until - worker.seen_at).total_seconds()
        return now - self._watched[worker.boot_id][1] > TTLS_STILL * ttl
