"""The ends of jobs, written to RQ's registries in batches by a thread of their own.

The ledger has the end of a job before it comes here, so nothing hangs on when Redis gets it. What
cannot be written is kept, and written when Redis answers again.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from redis.exceptions import RedisError

from failsoft.engines.rq.registries import End

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: How many ends are written at once: Redis serves no other client meanwhile.
MOST_AT_ONCE = 64
#: How long ends are gathered before they are written, in seconds: nothing waits for them.
GATHERING = 0.01
#: The pause after a write that failed, in seconds.
PAUSE = 0.5


class Ends:
    """Writes the ends that it is given, in their order, as many at once as there are.

    Args:
        write: Writes ends; called again with the same ones where it raises an error of Redis.
    """

    def __init__(self, write: Callable[[Sequence[End]], object]) -> None:
        self._write = write
        self._given: SimpleQueue[End | None] = SimpleQueue()
        self._waiting: list[End] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="failsoft-rq-ends", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, end: End) -> None:
        """Let an end be written soon; called from any thread."""
        self._given.put(end)

    def close(self) -> None:
        """Stop the thread; what it could not write is left to `flush`."""
        self._closing.set()
        self._given.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def flush(self) -> None:
        """Write what is left, after `close`.

        Raises:
            RedisError: Redis does not answer.
        """
        while self._collect():
            self._write(self._waiting)
            self._waiting = []

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._waiting and (end := self._given.get()) is not None:
                self._waiting.append(end)
                self._closing.wait(GATHERING)
            try:
                self.flush()
            except (RedisError, OSError):
                self._closing.wait(PAUSE)
            except Exception:
                logger.exception("RQ could not finish %d jobs", len(self._waiting))
                self._waiting = []

    def _collect(self) -> list[End]:
        with suppress(Empty):
            while len(self._waiting) < MOST_AT_ONCE:
                end = self._given.get_nowait()
                self._waiting += [] if end is None else [end]
        return self._waiting
