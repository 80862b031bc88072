"""A token bucket: a burst, then a rate."""

from failsoft.job_engine.clock import Clock


class TokenBucket:
    """Limit how fast jobs are moved between engines (GN-08, R25)."""

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        """Begin full.

        Args:
            rate: Tokens added a second.
            burst: The most it holds.
            clock: Where time comes from.
        """
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock.steady()

    def take(self) -> bool:
        """Take a token if there is one."""
        now = self._clock.steady()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
