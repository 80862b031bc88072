"""What befalls the ledger's clock: it is set ahead or back, and is right again some seconds later.

It has a lane of its own: servers are promoted and processes start while it is wrong.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.history.timeline import AHEAD, BEHIND, JUMP, RIGHT
from tests.chaos.system.ledger_clock import MovedClock

LANE = "clock"
#: How long it is wrong, in seconds: for a few leases, and shorter than anyone believes it.
SHORTEST, LONGEST = 1.5, 5.0
#: How long it is right then: every schedule and every lease is to go on by it.
REST = 12.0


class ClockFaults:
    """The misfortunes of the ledger's clock."""

    def __init__(self, clock: MovedClock | None) -> None:
        self._clock = clock

    def all(self) -> Sequence[Nemesis]:
        """Both; nothing where the clock cannot be moved."""
        if self._clock is None:
            return []
        return [
            Nemesis(f"clock: {what}", LANE, self._set(self._clock, mark), SHORTEST, LONGEST, REST)
            for what, mark in (("ahead and back", AHEAD), ("back and ahead", BEHIND))
        ]

    def _set(self, clock: MovedClock, mark: int) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str]:
            clock.set(mark)
            try:
                sign = "+" if mark == AHEAD else "-"
                yield f"the ledger's by {sign}{JUMP // JUMP.resolution // 1_000_000} s"
            finally:
                clock.set(RIGHT)

        return strike
