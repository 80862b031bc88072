"""The moments at which the machine gave a process no time.

A program of a run notes its own: a busy machine may let this process run, and a worker stand still
for as long as its lease lasts.
"""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Self

from tests.chaos.faults.schedule import Fired
from tests.chaos.promises.charges import MACHINE, STALL
from tests.chaos.workload.queues import LEASE
from tests.deployments.effect_log import ACTOR, append, now, records

#: The environment variable that says where a program of a run notes its stalls.
STALLS = "_FAILSOFT_CHAOS_STALLS"
#: How often a thread looks, and how late a look must be to count, in seconds.
PAUSE = 0.05
LATE = LEASE.total_seconds() / 8


class Stalls:
    """Notes every stretch of time in which a thread that only sleeps did not wake in time."""

    def __init__(self, note: Callable[[Fired], None], process: str = MACHINE) -> None:
        self._note = note
        self._process = process
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
                self._note(Fired(STALL, self._process, before, after))
            before = after


def of_this_program() -> Stalls:
    """Return what notes the stalls of a program of a run, where the run reads them."""
    path = Path(os.environ[STALLS])
    return Stalls(lambda stall: append(path, asdict(stall)), os.environ[ACTOR])


def noted(path: Path) -> Iterator[Fired]:
    """Return the stalls that the programs of a run have noted."""
    yield from (Fired(**record) for record in records(path))
