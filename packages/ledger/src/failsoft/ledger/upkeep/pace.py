"""How much one transaction does, so that no other writer waits for it for long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

#: How long a transaction should take, in seconds; one that is five times as slow is short still.
AIM = 0.01
#: What it begins with, as long as nothing is known, and what it never goes below.
FIRST, LEAST = 100, 50
#: By how much the next one is larger at most, and smaller.
_MORE, _LESS = 1.5, 0.25


class Pace:
    """How many rows the next transaction takes, by how long those before it took."""

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        """Begin with a few.

        Args:
            most: How many it is at most.
            clock: Returns the time in seconds.
        """
        self._most = most
        self._clock = clock
        self._next = float(min(FIRST, most))

    def at_most(self, limit: int) -> int:
        """Return how many to take, and no more than so many."""
        return min(limit, round(self._next))

    @contextmanager
    def kept(self, *, is_full: bool) -> Iterator[Callable[[], None]]:
        """Measure a transaction, and choose the size of the next one.

        Args:
            is_full: Whether it takes as many as it may; one with fewer says nothing.

        Yields:
            What the transaction calls as soon as it has the turn to write: from then on it keeps
            others from it, until it is committed.
        """
        began = self._clock()

        def begin() -> None:
            nonlocal began
            began = self._clock()

        yield begin
        if is_full:
            took = max(self._clock() - began, 1e-6)
            wanted = self._next * min(_MORE, max(_LESS, AIM / took))
            self._next = min(float(self._most), max(float(LEAST), wanted))
