"""The slots of a worker that takes its messages itself: attempts side by side, in threads."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from failsoft.dispatcher.plugins.bodies import from_body
from failsoft.dispatcher.plugins.plugin import WorkerPost
from failsoft.job_engine.errors import MessageRejectedError


class Slots:
    """Run messages side by side, as many as the post has slots.

    A loop reserves a slot, takes a message, and hands it over:

        while not stopping.is_set():
            if slots.reserve(timeout=0.2):
                message = broker.take(timeout=0.2)
                if message is None:
                    slots.release()
                elif slots.process(message.body):
                    broker.acknowledge(message)
    """

    def __init__(self, post: WorkerPost) -> None:
        self._post = post
        self._free = threading.BoundedSemaphore(post.slots)
        self._threads = ThreadPoolExecutor(post.slots, thread_name_prefix="failsoft-slot")

    def reserve(self, timeout: float) -> bool:
        """Return whether a slot was free within the time, in seconds; it is the caller's then."""
        return self._free.acquire(timeout=timeout)

    def reserve_all(self, timeout: float) -> int:
        """Reserve every slot that is free, after the first within the time; return how many."""
        if not self.reserve(timeout):
            return 0
        reserved = 1
        while reserved < self._post.slots and self.reserve(0):
            reserved += 1
        return reserved

    def release(self) -> None:
        """Give a reserved slot back that has no message."""
        self._free.release()

    def process(self, message: bytes | object) -> bool:
        """Process a message in the reserved slot, and return once the ledger has decided about it.

        The attempt goes on in the slot; the slot is free when it has ended.

        Args:
            message: A body of JSON, or what it holds.

        Returns:
            Whether the broker may forget the message. False where the worker stops before the
            ledger has decided: the broker must keep it, or deliver it again.
        """
        answer = SimpleQueue[bool]()
        self.submit(message, answer.put)
        return answer.get()

    def submit(self, message: bytes | object, decided: Callable[[bool], object]) -> None:
        """Process a message in the reserved slot, and return at once.

        Args:
            message: A body of JSON, or what it holds.
            decided: Called once, in the slot's thread, with what `process` returns.
        """
        try:
            wire = from_body(message) if isinstance(message, bytes) else message
        except MessageRejectedError as error:
            self._free.release()
            self._post.reject(error)
            decided(True)
            return
        self._threads.submit(self._run, wire, decided)

    def close(self) -> None:
        """Wait for the attempts that run; how long they may take, the worker process decides."""
        self._threads.shutdown(wait=True)

    def _run(self, wire: object, decided: Callable[[bool], object]) -> None:
        is_decided = False

        def claimed() -> None:
            nonlocal is_decided
            is_decided = True
            decided(True)

        try:
            self._post.process(wire, claimed)
        finally:
            if not is_decided:
                decided(False)
            self._free.release()
