"""Renewing the leases of running attempts where their code cannot block it (rules 12 and 13)."""

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine import outcome
from failsoft.job_engine.attempt.interrupts import CutOff, Fenced, Interrupt, Released, TimedOut
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim
from failsoft.worker.attempts.claim_returns import ClaimReturns
from failsoft.worker.processes.loop_thread import LoopThread, Pause

#: How many times a lease is renewed before it would expire.
RENEWALS = 4
#: The share of a lease after which an attempt that could not renew it stops by itself.
SELF_FENCE = 0.75
#: How long an attempt whose time is up may take to notice, in seconds.
OVERDUE_SECONDS = 2.0
#: How soon the keeper looks again at an attempt for which something was due, in seconds.
LOOK_SECONDS = 0.05
#: How long it sleeps at most while anything is held, in seconds: the clock of a thread that sleeps
#: stands still with a suspended machine, and that of the leases does not.
LONGEST_SLEEP = 0.5

logger: logging.Logger = logging.getLogger("failsoft.worker")


@dataclass(slots=True)
class _Held:
    claim: Claim
    lease: Lease
    renewed_at: float
    ends_at: float
    given_up: bool = False
    #: Since when the ledger has failed to renew it, if it has since it last did.
    failing_since: float | None = None
    cut_off_at: float | None = None

    @property
    def due_at(self) -> float:
        return self.renewed_at + self.claim.lease.total_seconds() / RENEWALS

    @property
    def stale_at(self) -> float:
        return self.renewed_at + self.claim.lease.total_seconds() * SELF_FENCE

    @property
    def times_out_at(self) -> float:
        # The time that the attempt waits for the ledger does not count.
        return self.ends_at + self.lease.excused

    def is_due(self, now: float) -> bool:
        return now >= self.due_at

    def is_nearly_due(self, now: float) -> bool:
        return now - self.renewed_at >= self.claim.lease.total_seconds() / RENEWALS / 2

    def is_stale(self, now: float) -> bool:
        return now >= self.stale_at

    def is_over_time(self, now: float) -> bool:
        return now >= self.times_out_at and not self.lease.is_asking

    def is_stuck(self, now: float) -> bool:
        cut_off = self.cut_off_at is not None and not self.lease.has_ended
        return cut_off and now - (self.cut_off_at or now) >= OVERDUE_SECONDS

    def is_overdue(self, now: float) -> bool:
        return self.lease.revoked_by is TimedOut and now >= self.times_out_at + OVERDUE_SECONDS

    def next_renewal(self) -> float:
        """Return when the renewer must look at it next."""
        if self.given_up or self.cut_off_at is not None:
            return math.inf
        return min(self.due_at, self.times_out_at + OVERDUE_SECONDS)

    def next_check(self) -> float:
        """Return when the watcher must look at it next."""
        if self.cut_off_at is not None:
            return min(self.times_out_at, self.cut_off_at + OVERDUE_SECONDS)
        return min(self.times_out_at, self.stale_at)


class LeaseKeeper:
    """Hold the leases of one worker process.

    One thread renews, and may have to wait for the ledger. The other only compares times, so that
    an attempt whose lease cannot be renewed stops even while the ledger hangs. The claim of an
    attempt that stopped for that reason is given back when the ledger answers. Both sleep until
    something is due, and as long as nothing is held.
    """

    def __init__(
        self,
        ledger: AttemptLedger,
        clock: Clock,
        overdue: Callable[[Claim], None],
        returns: ClaimReturns,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            ledger: Where leases are renewed.
            clock: Measures the leases.
            overdue: Called once for an attempt that runs on after its time is up, because it
                cannot be interrupted; it records the attempt's end in its place.
            returns: Called with the claims that are to be given back.
        """
        self._returns = returns
        self._renewing_since: float | None = None
        self._last_renewal: tuple[float, float] | None = None
        self._trouble: str | None = None
        self._ledger = ledger
        self._clock = clock
        self._overdue = overdue
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._holds = 0
        self._releasing = False
        self._renewer = LoopThread("renew", self._sleep(_Held.next_renewal), self._renew_due)
        self._watcher = LoopThread("watch", self._sleep(_Held.next_check), self._watch)

    def start(self) -> None:
        """Begin to renew and to watch."""
        self._renewer.start()
        self._watcher.start()

    def stop(self) -> None:
        """Renew no more."""
        self._renewer.stop()
        self._watcher.stop()

    @contextmanager
    def hold(self, claim: Claim, lease: Lease, timeout: timedelta) -> Iterator[None]:
        """Keep a lease while an attempt runs, and revoke it when its time is up."""
        now = self._clock.steady()
        held = _Held(claim, lease, now, now + timeout.total_seconds())
        with self._lock:
            self._held[claim.claim_id] = held
            self._holds += 1
            releasing = self._releasing
        self._renewer.wake_within(held.next_renewal() - now)
        self._watcher.wake_within(held.next_check() - now)
        if releasing:
            lease.revoke(Released, immediately=False)
        try:
            yield
        except Exception as error:
            # This process cannot conclude the claim any more; the job is not charged for it.
            self._returns.owe(claim, outcome.refused(error, 0))
            raise
        finally:
            with self._lock:
                del self._held[claim.claim_id]
            if lease.revoked_by is CutOff and not lease.has_ended:
                self._returns.owe(claim, outcome.cut_off())

    def held(self) -> list[tuple[Claim, Lease]]:
        """Return what is held now."""
        return [(held.claim, held.lease) for held in self._snapshot()]

    def release_all(self) -> None:
        """Revoke every lease, present and future, so that attempts stop at their next step."""
        with self._lock:
            self._releasing = True
        for held in self._snapshot():
            held.lease.revoke(Released, immediately=False)

    def revoke(self, job_id: str, interrupt: type[Interrupt]) -> bool:
        """Stop the attempt of one job; return whether it was held."""
        found = [held for held in self._snapshot() if held.claim.job_id == job_id]
        for held in found:
            held.lease.revoke(interrupt)
        return bool(found)

    def _renew_due(self) -> None:
        now = self._clock.steady()
        active = [
            held for held in self._snapshot() if not held.given_up and held.cut_off_at is None
        ]
        overdue = [held for held in active if held.is_overdue(now)]
        if any(held.is_due(now) for held in active):
            # Those that are nearly due go along: few transactions for any number of attempts.
            self._renew([held for held in active if held.is_nearly_due(now)], now)
        for held in overdue:
            held.given_up = True
            self._overdue(held.claim)

    def _renew(self, due: Sequence[_Held], sent_at: float) -> None:
        self._renewing_since = sent_at
        try:
            renewed = self._ledger.renew([held.claim for held in due])
        except Exception as error:  # noqa: BLE001 - whatever it was, the leases are not renewed
            self._note_failure(due, sent_at, error)
            return
        finally:
            self._last_renewal, self._renewing_since = (sent_at, self._clock.steady()), None
        self._note_success()
        for held in due:
            if held.claim in renewed:
                # When the request was sent: the ledger may have renewed it long before it answered.
                held.renewed_at = sent_at
                held.failing_since = None
            elif held.cut_off_at is None:
                held.lease.revoke(Fenced)

    def _note_failure(self, due: Sequence[_Held], sent_at: float, error: Exception) -> None:
        now = self._clock.steady()
        for held in due:
            if held.failing_since is None:
                held.failing_since = sent_at
            held.lease.excuse(held.failing_since, now)
        kind = type(error).__name__
        if kind != self._trouble:
            away = isinstance(error, LedgerUnavailableError)
            logger.warning("leases are not renewed: %s", error, exc_info=None if away else error)
        self._trouble = kind

    def _note_success(self) -> None:
        if self._trouble is not None:
            logger.info("leases are renewed again")
        self._trouble = None

    def _watch(self) -> None:
        now = self._clock.steady()
        for held in self._snapshot():
            if held.is_stale(now) and held.cut_off_at is None:
                self._let_go(held, now)
            elif held.is_over_time(now):
                held.lease.revoke(TimedOut)
            if held.is_stuck(now):
                # Its code cannot be interrupted; what it records when it returns is void.
                self._returns.owe(held.claim, outcome.cut_off(), held.lease)

    def _let_go(self, held: _Held, now: float) -> None:
        """Stop an attempt whose lease is nearly over, unless only its end is left to record."""
        if not self._is_the_ledgers_doing(held, now):
            # This process stood still, or its job kept it from renewing (F15, F17).
            if held.lease.revoked_by is None:
                logger.warning(
                    "job %s stops: its lease was not renewed in time, and the ledger was not away",
                    held.claim.job_id,
                )
            held.lease.revoke(Fenced)
            return
        held.lease.revoke(CutOff)
        if held.lease.revoked_by is CutOff:
            held.cut_off_at = now

    def _is_the_ledgers_doing(self, held: _Held, now: float) -> bool:
        # A lease that was not due yet is in no call that hung, and waited behind it.
        since_sent = self._renewing_since
        spans = [self._last_renewal, None if since_sent is None else (since_sent, now)]
        waited = sum(
            max(0.0, until - max(since, held.renewed_at)) for since, until in filter(None, spans)
        )
        hangs = waited >= held.claim.lease.total_seconds() / RENEWALS
        return held.failing_since is not None or hangs

    def _sleep(self, next_look: Callable[[_Held], float]) -> Pause:
        """Return how long a thread sleeps that must look at what is held at these moments."""
        seen = 0

        def pause() -> float | None:
            nonlocal seen
            was_idle, seen = self._holds == seen, self._holds
            moments = [next_look(held) for held in self._snapshot()]
            if not moments:
                # Not after the end of each of many short attempts: the next would wake it again.
                return None if was_idle else LONGEST_SLEEP
            left = min(moments) - self._clock.steady()
            return min(left if left > 0 else LOOK_SECONDS, LONGEST_SLEEP)

        return pause

    def _snapshot(self) -> list[_Held]:
        with self._lock:
            return list(self._held.values())
