"""The clock of the kit: it stands still until a test moves it, or a job waits."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from failsoft.testing.clock import FrozenClock

#: The longest time that passes before the others have a look: a heartbeat is younger.
LOOK = timedelta(seconds=5)


class KitClock(FrozenClock):
    """`FrozenClock` that lets workers send heartbeats and renew leases while a job waits.

    Attributes:
        on_look: Called after each look of a sleep.
    """

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.on_look: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once, in looks."""
        rest = timedelta(microseconds=math.ceil(max(0.0, seconds) * 1e6))
        while rest > LOOK:
            super().sleep(LOOK.total_seconds())
            self.on_look()
            rest -= LOOK
        super().sleep(rest.total_seconds())
