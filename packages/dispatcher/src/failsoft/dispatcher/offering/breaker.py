"""The breaker of one engine: open at the first failure, close slowly.

Why not a library: the trial of a half-open breaker would be a user's dispatch, and would cost
it the deadline of a silent server. Here the trials are probes in another thread, and the share of
offers grows step by step (decision 0004).
"""

import random
import threading
from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine.clock import Clock


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """How an engine comes back.

    Attributes:
        probe_every: The pause between two probes of an open breaker.
        healthy_probes: How many probes in a row must be healthy (GN-07).
        min_open: How long it stays open at least.
        ramp: How long the share of offers takes to grow back to all of them (GN-08).
    """

    probe_every: timedelta = timedelta(seconds=1)
    healthy_probes: int = 3
    min_open: timedelta = timedelta(seconds=2)
    ramp: timedelta = timedelta(seconds=10)


#: A probe that fails so long after the breaker opened confirms that the engine is away.
CONFIRMS_AFTER = timedelta(seconds=0.5)
#: A breaker that opens again within this time after it closed has closed too early.
RELAPSE = timedelta(minutes=1)


class Breaker:
    """Whether one engine gets offers."""

    def __init__(
        self, policy: BreakerPolicy, clock: Clock, rng: random.Random, *, doublings: int = 0
    ) -> None:
        """Begin closed.

        Args:
            policy: How it comes back.
            clock: The process's.
            rng: For jitter.
            doublings: How many times `min_open` doubles at most, while it opens again soon after
                it closed: for failures that probes cannot see.
        """
        self._policy = policy
        self._doublings = doublings
        self._relapses = 0
        self._clock = clock
        self._rng = rng
        self._lock = threading.Lock()
        self._opened_at: float | None = None
        self._closed_at: float | None = None
        self._healthy = 0
        self._is_confirmed = False
        self._next_probe = 0.0
        self.reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the engine gets no offers at all."""
        return self._opened_at is not None

    @property
    def is_closed(self) -> bool:
        """Whether the engine gets every offer."""
        return not self.is_open and self._share() >= 1

    @property
    def open_for(self) -> timedelta:
        """For how long it has been open; nothing while it is closed."""
        opened_at = self._opened_at
        since = 0.0 if opened_at is None else self._clock.steady() - opened_at
        return timedelta(seconds=since)

    @property
    def is_confirmed(self) -> bool:
        """Whether it is open, and the last probe failed, some time after the first failure."""
        return self.is_open and self._is_confirmed

    @property
    def state(self) -> str:
        """`closed`, `open` or `ramping`, for output."""
        if self.is_open:
            return "open"
        return "closed" if self.is_closed else "ramping"

    def admits(self) -> bool:
        """Decide about one offer; while ramping, by chance."""
        if self.is_open:
            return False
        share = self._share()
        return share >= 1 or self._rng.random() < share

    def fail(self, reason: str) -> bool:
        """Note a failure; return whether it opened the breaker."""
        with self._lock:
            self.reason = reason
            self._healthy = 0
            opened = self._opened_at is None
            if opened:
                self._is_confirmed = False
                self._opened_at = now = self._clock.steady()
                closed_at = float("-inf") if self._closed_at is None else self._closed_at
                is_relapse = now - closed_at < RELAPSE.total_seconds()
                self._relapses = min(self._relapses + 1, self._doublings) if is_relapse else 0
                self._schedule_probe()
            return opened

    def probe_due(self) -> bool:
        """Return whether it is time to probe; the caller that gets True must probe."""
        with self._lock:
            if self._opened_at is None or self._clock.steady() < self._next_probe:
                return False
            self._schedule_probe()
            return True

    def note_probe(self, *, healthy: bool, detail: str) -> bool:
        """Note a probe; return whether it closed the breaker."""
        with self._lock:
            self._healthy = self._healthy + 1 if healthy else 0
            self.reason = detail
            if self._opened_at is None:
                return False
            open_for = self._clock.steady() - self._opened_at
            self._is_confirmed = not healthy and open_for >= CONFIRMS_AFTER.total_seconds()
            if self._healthy < self._policy.healthy_probes:
                return False
            if open_for < self._policy.min_open.total_seconds() * 2**self._relapses:
                return False
            self._opened_at = None
            self._closed_at = self._clock.steady()
            return True

    def _schedule_probe(self) -> None:
        # Jitter keeps many processes from probing a server that returns all at once (MQ-04).
        pause = self._policy.probe_every.total_seconds() * self._rng.uniform(0.8, 1.2)
        self._next_probe = self._clock.steady() + pause

    def _share(self) -> float:
        ramp = self._policy.ramp.total_seconds()
        if self._closed_at is None or ramp == 0:
            return 1.0
        return min(1.0, 0.1 + (self._clock.steady() - self._closed_at) / ramp)
