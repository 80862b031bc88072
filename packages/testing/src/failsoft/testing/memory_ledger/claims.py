"""Claiming the jobs of a ledger in memory, and taking the offers that wait in it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from failsoft.job_engine.errors import JobDeferredError
from failsoft.job_engine.ports.clock import DELAY
from failsoft.job_engine.ports.offered import MOST_COUNTED, TAKEN, OfferWatch
from failsoft.job_engine.records.job import Claim, Ticket
from failsoft.job_engine.records.states import CLAIM, DEFER, JobState, permits
from failsoft.testing.memory_ledger.limits import free_at, uses
from failsoft.testing.memory_ledger.reader import MemoryReader
from failsoft.testing.memory_ledger.rows import Row, claim_of, has_expired
from failsoft.testing.memory_ledger.store import Change


class _Pause:
    """`OfferWatch` that only waits: nothing in memory notifies."""

    is_notified = False

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


class MemoryClaims(MemoryReader):
    """The part of `AttemptLedger` that begins attempts, and `OfferedLedger`, in memory."""

    def take_offers(self, engine: str, queue: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return the job ids and epochs of an engine's offers that may begin now."""
        with self.transaction():
            now = self._store.clock.now()
            free = [row for row in self._offers(engine, queue) if _is_free(row, now)]
            rows = [row for row in free if not self._store.is_paused(row)]
            rows.sort(key=lambda row: (-row.priority, row.created_at))
            for row in rows[:limit]:
                self._store.rows[row.id] = replace(row, taken_until=now + TAKEN)
            return [(row.id, row.epoch) for row in rows[:limit]]

    def count_offers(self, engine: str, queue: str) -> int:
        """Return how many offers of an engine wait in a queue, up to `MOST_COUNTED`."""
        with self.transaction():
            return min(MOST_COUNTED, len(self._offers(engine, queue)))

    def expect_writable(self, within: timedelta) -> None:
        """Fail where the way to it is broken."""
        with self.transaction():
            pass

    def wake_workers(self, engine: str, queue: str, within: timedelta) -> None:
        """Wake none: workers look by themselves."""
        with self.transaction():
            pass

    def watch_offers(self, engine: str, queue: str) -> OfferWatch:
        """Return what waits for the whole time."""
        return _Pause()

    def _offers(self, engine: str, queue: str) -> list[Row]:
        rows = self._in(JobState.OFFERED)
        return [row for row in rows if (row.engine, row.queue) == (engine, queue)]

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job; None if the offer is void (rule 6)."""
        with self.transaction():
            found = self._claim(ticket)
        if isinstance(found, JobDeferredError):
            raise found
        return found

    def claim_many(self, tickets: Sequence[Ticket]) -> Sequence[Claim]:
        """Take several offered jobs; those with limits are left out, as on SQL."""
        found = [self.claim(each) for each in tickets if not self._is_limited(each)]
        return [claim for claim in found if claim is not None]

    def _is_limited(self, ticket: Ticket) -> bool:
        row = self._store.rows.get(ticket.job_id)
        return row is not None and bool(row.limits)

    def _claim(self, ticket: Ticket) -> Claim | JobDeferredError | None:
        guard = {"epoch": ticket.epoch, "engine": ticket.engine, "queue": ticket.queue}
        row = self._store.rows.get(ticket.job_id)
        if row is None or not permits(CLAIM, row, guard):
            return self._claimed_before(ticket)
        if has_expired(row, self._store.clock.now()) or self._store.is_held_back(row):
            return None
        full = [use for use in uses(self._store, row.limits) if use.is_full]
        if full:
            run_at = free_at(self._store, full[0].limit)
            values = {"run_at": run_at, "pickup_by": None, "pickups_missed": 0}
            reason = {"reason": str(full[0]), DELAY: 0.0}
            self._store.apply(DEFER, Change(row.id, guard, values, ticket.worker, reason))
            return JobDeferredError(f"job {row.id} waits for its turn: {full[0]}")
        return self._begin(ticket, guard)

    def _begin(self, ticket: Ticket, guard: dict[str, object]) -> Claim:
        now = self._store.clock.now()
        values = {"claim_id": ticket.claim_id, "lease": ticket.lease}
        values["lease_until"] = now + ticket.lease
        detail = {"claim": ticket.claim_id, "engine": ticket.engine}
        change = Change(ticket.job_id, guard, values, ticket.worker, detail)
        row = self._store.apply(CLAIM, change)
        assert row is not None  # noqa: S101 - the caller looked
        claim = claim_of(row, ticket.worker)
        self._store.insert_attempt(claim)
        rate = row.limits.rate
        if rate is not None and rate.period is not None:
            self._store.starts.append((rate.key, now, now + rate.period))
            # Forgotten for good, also where the clock comes back.
            self._store.starts = [each for each in self._store.starts if each[2] > now]
        return claim

    def _claimed_before(self, ticket: Ticket) -> Claim | None:
        # The reply to this very claim may have been lost (R13).
        row: Row | None = self._store.rows.get(ticket.job_id)
        if row is None or row.state is not JobState.RUNNING:
            return None
        mine = (row.epoch, row.claim_id) == (ticket.epoch, ticket.claim_id)
        return claim_of(row, ticket.worker) if mine else None


def _is_free(row: Row, now: datetime) -> bool:
    return row.taken_until is None or not now < row.taken_until <= now + TAKEN
