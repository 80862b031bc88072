"""The moments at which the machine gave this process no time, and so maybe no other."""

import threading
from typing import Self

from tests.chaos.faults.schedule import Fired
from tests.chaos.promises.charges import STALL
from tests.chaos.workload.queues import LEASE
from tests.deployments.effect_log import now

#: How often it looks, and how late a look must be to count, in seconds.
PAUSE = 0.05
LATE = LEASE.total_seconds() / 8


class Stalls:
    """Notes every stretch of time in which a thread that only sleeps did not wake in time."""

    def __init__(self) -> None:
        self.found: list[Fired] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-stalls", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        before = now()
        while not self._ending.wait(PAUSE):
            after = now()
            if after - before > (PAUSE + LATE) * 1e6:
                self.found.append(Fired(STALL, "the machine", before, after))
            before = after
