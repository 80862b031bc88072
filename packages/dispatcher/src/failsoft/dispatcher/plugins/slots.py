"""The slots of a worker that takes its messages itself: attempts side by side, in threads."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from failsoft.dispatcher.plugins.bodies import from_body
from failsoft.dispatcher.plugins.plugin import Begin, Delivery, WorkerPost
from failsoft.job_engine.errors import MessageRejectedError

logger: logging.Logger = logging.getLogger("failsoft.worker")


def nothing(failure: Exception | None) -> None:
    """Do nothing about a message that is over."""


class Submission(NamedTuple):
    """A message for a slot.

    Attributes:
        message: A body of JSON, or what it holds.
        decided: Called once with what `Slots.process` returns.
        over: Called once when its attempt has ended, or it led to none; with what went wrong, if
            something of ours did.
    """

    message: bytes | object
    decided: Callable[[bool], object]
    over: Callable[[Exception | None], object] = nothing


class Slots:
    """Run messages side by side, as many as the post has slots.

    A slot is free again when the code of its job is over. The end is recorded after that, in the
    thread that ran the code, while the slot's next message is claimed (decision 0102). Attempts
    whose code runs and those whose end is being recorded are at most twice as many as slots.

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
        # Of each message that is claimed there is a thread to run it at once: its lease runs.
        self._idle = threading.BoundedSemaphore(2 * post.slots)
        self._threads = ThreadPoolExecutor(2 * post.slots, thread_name_prefix="failsoft-slot")
        #: How many times claims are being made; notified when they have been.
        self._beginning = threading.Condition()
        self._count = 0

    def reserve(self, timeout: float) -> bool:
        """Return whether a slot was free within the time, in seconds; it is the caller's then."""
        if not self._free.acquire(timeout=timeout):
            return False
        if self._idle.acquire(timeout=timeout):
            return True
        self._free.release()
        return False

    def reserve_all(self, timeout: float, most: int | None = None) -> int:
        """Reserve every slot that is free, after the first within the time; return how many.

        Claims that are being made are waited for as long: the slots that are free by then are one
        commit, where each by itself would be one (decision 0098).

        Args:
            timeout: In seconds.
            most: How many at most.
        """
        if not self.reserve(timeout):
            return 0
        with self._beginning:
            self._beginning.wait_for(lambda: not self._count, timeout)
        reserved, most = 1, min(most or self._post.slots, self._post.slots)
        while reserved < most and self.reserve(0):
            reserved += 1
        return reserved

    def release(self) -> None:
        """Give a reserved slot back that has no message."""
        self._idle.release()
        self._free.release()

    def process(self, message: bytes | object) -> bool:
        """Process a message in the reserved slot, and return once the ledger has decided about it.

        The attempt goes on in the slot.

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
        self.submit_all([Submission(message, decided)])

    def submit_all(self, messages: Sequence[Submission]) -> None:
        """Process messages in as many reserved slots, and return at once.

        Their claims are one commit, as far as the ledger can make them together; the attempts are
        as independent of each other as if each had been submitted by itself.

        Args:
            messages: Each with what is called of it.
        """
        begin = self._post.begin
        taken = [found for each in messages if (found := self._read(each)) is not None]
        if begin is None:
            for each in taken:
                wire, claimed, _ = each.delivery
                self._threads.submit(self._run, partial(self._post.process, wire, claimed), each)
        elif taken:
            with self._beginning:
                self._count += 1
            self._threads.submit(self._begin, taken, begin)

    def close(self) -> None:
        """Wait for the attempts that run; how long they may take, the worker process decides."""
        # Those that are being claimed have no thread yet, and the threads take nothing after that.
        with self._beginning:
            self._beginning.wait_for(lambda: not self._count)
        self._threads.shutdown(wait=True)

    def _read(self, submission: Submission) -> "_Occupied | None":
        message = submission.message
        try:
            wire = from_body(message) if isinstance(message, bytes) else message
        except MessageRejectedError as error:
            self.release()
            self._post.reject(error)
            submission.decided(True)
            submission.over(None)
            return None
        return _Occupied(wire, submission, self._free.release)

    def _begin(self, taken: "Sequence[_Occupied]", begin: Begin) -> None:
        try:
            runs = begin([each.delivery for each in taken])
            for each in zip(runs[1:], taken[1:], strict=True):
                self._threads.submit(self._run, *each)
        finally:
            with self._beginning:
                self._count -= 1
                self._beginning.notify_all()
        self._run(runs[0], taken[0])

    def _run(self, run: Callable[[], None], occupied: "_Occupied") -> None:
        failure: Exception | None = None
        try:
            run()
        except Exception as error:
            logger.exception("a message could not be processed")
            failure = error
        finally:
            try:
                occupied.report(failure)
            finally:
                # The thread before the slot: whoever reserves that finds one.
                self._idle.release()
                occupied.leave()


class _Occupied:
    """A slot that has a message: it reports once whether that is decided, and is left once.

    Args:
        wire: The message.
        submission: What is called of it.
        free: Frees the slot.
    """

    def __init__(self, wire: object, submission: Submission, free: Callable[[], object]) -> None:
        self.delivery = Delivery(wire, self._claimed, self.leave)
        self._submission = submission
        self._free = free
        self._is_decided = self._is_left = False

    def leave(self) -> None:
        """Free the slot, unless it is."""
        had_left, self._is_left = self._is_left, True
        if not had_left:
            self._free()

    def report(self, failure: Exception | None) -> None:
        """Report that it is over, and first that it was not decided, unless it was."""
        if not self._is_decided:
            self._submission.decided(False)
        self._submission.over(failure)

    def _claimed(self) -> None:
        self._is_decided = True
        self._submission.decided(True)
