"""The slots of a worker that takes its messages itself: attempts side by side, in threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

from failsoft.dispatcher.plugins.bodies import from_body
from failsoft.dispatcher.plugins.plugin import Begin, WorkerPost
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
        #: How many times claims are being made; notified when they have been.
        self._beginning = threading.Condition()
        self._count = 0

    def reserve(self, timeout: float) -> bool:
        """Return whether a slot was free within the time, in seconds; it is the caller's then."""
        return self._free.acquire(timeout=timeout)

    def reserve_all(self, timeout: float) -> int:
        """Reserve every slot that is free, after the first within the time; return how many.

        Claims that are being made are waited for as long: the slots that are free by then are one
        commit, where each by itself would be one (decision 0098).
        """
        if not self.reserve(timeout):
            return 0
        with self._beginning:
            self._beginning.wait_for(lambda: not self._count, timeout)
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
            decided: Called once, in a thread of the slots, with what `process` returns.
        """
        self.submit_all([(message, decided)])

    def submit_all(
        self, messages: Sequence[tuple[bytes | object, Callable[[bool], object]]]
    ) -> None:
        """Process messages in as many reserved slots, and return at once.

        Their claims are one commit, as far as the ledger can make them together; the attempts are
        as independent of each other as if each had been submitted by itself.

        Args:
            messages: Of each what `submit` gets.
        """
        deliveries = [found for each in messages if (found := self._read(*each)) is not None]
        if self._post.begin is None:
            for each in deliveries:
                self._threads.submit(self._run, partial(self._post.process, *each), each[1])
        elif deliveries:
            with self._beginning:
                self._count += 1
            self._threads.submit(self._begin, deliveries, self._post.begin)

    def close(self) -> None:
        """Wait for the attempts that run; how long they may take, the worker process decides."""
        # Those that are being claimed have no thread yet, and the threads take nothing after that.
        with self._beginning:
            self._beginning.wait_for(lambda: not self._count)
        self._threads.shutdown(wait=True)

    def _read(
        self, message: bytes | object, decided: Callable[[bool], object]
    ) -> "tuple[object, _Decision] | None":
        try:
            wire = from_body(message) if isinstance(message, bytes) else message
        except MessageRejectedError as error:
            self._free.release()
            self._post.reject(error)
            decided(True)
            return None
        return wire, _Decision(decided)

    def _begin(self, deliveries: "Sequence[tuple[object, _Decision]]", begin: Begin) -> None:
        try:
            runs = begin(deliveries)
            decisions = [decision for _, decision in deliveries]
            for each in zip(runs[1:], decisions[1:], strict=True):
                self._threads.submit(self._run, *each)
        finally:
            with self._beginning:
                self._count -= 1
                self._beginning.notify_all()
        self._run(runs[0], decisions[0])

    def _run(self, run: Callable[[], None], decision: "_Decision") -> None:
        try:
            run()
        finally:
            decision.end()
            self._free.release()


class _Decision:
    """Whether the ledger has decided about a message; reported once.

    Args:
        decided: Called with it.
    """

    def __init__(self, decided: Callable[[bool], object]) -> None:
        self._decided = decided
        self._is_made = False

    def __call__(self) -> None:
        """Report that it has."""
        self._is_made = True
        self._decided(True)

    def end(self) -> None:
        """Report that it has not, unless it has."""
        if not self._is_made:
            self._decided(False)
