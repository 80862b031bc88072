"""A thread that repeats a call until it is stopped."""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from failsoft.job_engine.errors import LedgerError, LedgerUnavailableError

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: The first of the shorter pauses, in seconds; each is twice as long as the one before.
FIRST_SECONDS = 0.05
#: Returns after how many seconds the next call is due; None where it waits to be woken.
Pause = Callable[[], float | None]


def at_intervals(every: timedelta) -> Pause:
    """Return the pause of calls at an interval, with jitter."""
    return lambda: every.total_seconds() * random.uniform(0.8, 1.2)


class SoonAtFirst:
    """The pauses of calls at an interval, shorter ones until a call has come to something.

    Args:
        every: The interval.
    """

    def __init__(self, every: timedelta) -> None:
        self._usual = at_intervals(every)
        self._shorter: float | None = FIRST_SECONDS

    def __call__(self) -> float | None:
        """Return the next pause."""
        usual = self._usual()
        if usual is None or self._shorter is None:
            return usual
        pause = min(self._shorter, usual)
        self._shorter *= 2
        return pause

    def succeeded(self) -> None:
        """Keep to the interval from now on."""
        self._shorter = None


class LoopThread:
    """Calls `work` again and again; an outage of the ledger is logged once."""

    def __init__(self, name: str, pause: Pause, work: Callable[[], object]) -> None:
        """Prepare; `start` begins.

        Args:
            name: The thread's.
            pause: Called after each call of `work`.
            work: What is repeated.
        """
        self._pause = pause
        self._work = work
        # Infinite also while it is awake: what is added meanwhile makes it look once more.
        self._sleeps_until = math.inf
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._trouble: type[Exception] | None = None
        self._thread = threading.Thread(target=self._run, name=f"failsoft-{name}", daemon=True)
        self._name = name

    def start(self) -> None:
        """Start, with a first call at once."""
        self._thread.start()

    def wake(self) -> None:
        """Call again at once, or as soon as the current call is over."""
        self._woken.set()

    def wake_within(self, seconds: float) -> None:
        """Let the next call be in that time at the latest; cheap where it is anyway."""
        if time.monotonic() + seconds < self._sleeps_until:
            self.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Make no further call, and wait up to the timeout for the current one."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._call()
            pause = self._pause()
            self._sleeps_until = math.inf if pause is None else time.monotonic() + pause
            self._woken.wait(pause)
            # Before the call: what is added from here on is seen by it, or wakes this again.
            self._sleeps_until = math.inf
            self._woken.clear()

    def _call(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - it is logged
            # The next call may succeed, and nothing else would make it.
            self._note(error)
        else:
            if self._trouble is not None:
                logger.info("%s: the ledger is back", self._name)
            self._trouble = None

    def _note(self, error: Exception) -> None:
        if not isinstance(error, LedgerError):
            logger.error("%s failed", self._name, exc_info=error)
            return
        if type(error) is not self._trouble:
            # A refusal is explained by its traceback; an outage needs none.
            away = isinstance(error, LedgerUnavailableError)
            logger.warning("%s: %s", self._name, error, exc_info=None if away else error)
        self._trouble = type(error)
