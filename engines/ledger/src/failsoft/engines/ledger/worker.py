"""The half that works: it takes offers from the ledger, as many at once as slots are free.

Where the ledger notifies, the worker waits for that, and looks by itself now and then; elsewhere
it looks again after a pause that grows while it finds nothing. From the claim on all is as with
any engine.
"""

import threading
import time

from failsoft.engine_api import (
    EngineSite,
    LedgerError,
    Link,
    Message,
    Slots,
    Submission,
    WorkerPost,
)
from failsoft.engines.ledger.adapter import LedgerSettings

#: How long it is until the next look after one that found nothing: at first, at last, and how much
#: longer each time, in seconds.
SHORTEST, LONGEST, GROWTH = 0.1, 0.5, 1.5
#: The same at last where it is notified: for what a process that died has not notified of, and for
#: jobs that were paused.
LONGEST_IF_NOTIFIED = 3.0
#: How long a worker that is to stop may wait on, in seconds.
SLICE_SECONDS = 0.5
#: The pause before a ledger that did not answer is looked at again, in seconds.
RETRY_SECONDS = 0.5


class LedgerWorker:
    """`EngineWorker` of the ledger itself."""

    def __init__(self, site: EngineSite[LedgerSettings], post: WorkerPost) -> None:
        self._name, self._queue = site.name, post.queue.name
        self._offers = site.offers
        self._watch = site.offers.watch(site.name, post.queue.name)
        self._slots = Slots(post)
        self._link = Link("the ledger")
        self._pause = SHORTEST
        self._stopping = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        """Take offers until `stopping` is set; then wait for what runs."""
        self._stopping = stopping
        try:
            while not stopping.is_set():
                free = self._reserve()
                if free:
                    self._fill(free)
        finally:
            self._watch.close()
            self._slots.close()

    def is_serving(self) -> bool:
        """Return whether the ledger answered the last look."""
        return self._link.is_up

    def _reserve(self) -> int:
        """Reserve all slots that are free; return how many."""
        free = self._slots.reserve_all(0)
        if not free:
            # What is notified meanwhile would only be kept until there is a slot.
            self._watch.rest()
            free = self._slots.reserve_all(SLICE_SECONDS)
        return free

    def _fill(self, free: int) -> None:
        """Fill reserved slots, give the others back, and wait if nothing more waits."""
        taken: list[Message] = []
        try:
            taken += self._offers.take(self._name, self._queue, free)
        except LedgerError as error:
            self._link.lost(error)
        else:
            self._link.answered()
        self._slots.submit_all([Submission(message.to_wire(), _nothing) for message in taken])
        for _ in range(free - len(taken)):
            self._slots.release()
        if not self._link.is_up:
            self._stopping.wait(RETRY_SECONDS)
        elif len(taken) < free:
            longest = LONGEST_IF_NOTIFIED if self._watch.is_notified else LONGEST
            self._pause = SHORTEST if taken else min(longest, self._pause * GROWTH)
            self._wait()

    def _wait(self) -> None:
        """Wait until there may be more; stop waiting where the worker is to stop."""
        ends = time.monotonic() + self._pause
        while not self._stopping.is_set() and (left := ends - time.monotonic()) > 0:
            if self._watch.wait(min(left, SLICE_SECONDS)):
                return


def _nothing(is_decided: bool) -> None:
    """Keep nothing: what was not decided is an offer still, and another worker's in a moment."""
