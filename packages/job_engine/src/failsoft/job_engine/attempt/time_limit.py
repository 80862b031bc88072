"""The longest one try of a step may take."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine.attempt.interrupts import HoldRequested, StepTimedOut
from failsoft.job_engine.attempt.lease import Lease, RunningCode
from failsoft.job_engine.errors import StepTimeoutError

#: What an attempt ends with whose step cannot be interrupted: its error, or why it is held.
End = Exception | HoldRequested
#: Records the end of an attempt in the place of its own thread, which cannot be stopped.
GiveUp = Callable[[End], None]

#: How long a step whose time is up may take to notice, in seconds.
STUCK_SECONDS = 2.0


#: The pause between two looks at whether a silent ledger answers again.
SILENCE_SECONDS = 0.05
#: For how many seconds a thread has waited for a ledger that answers nothing.
Silence = Callable[[int], float]


def answers(thread: int) -> float:
    """Return that nothing is waited for."""
    return 0.0


def never_give_up(end: End) -> None:
    """Wait for the step, however long it takes."""


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """What bounds the steps of an attempt.

    Attributes:
        timeout: The longest the attempt may run; no step may be allowed more.
        give_up: What ends the attempt when a step cannot be interrupted.
    """

    timeout: timedelta | None = None
    give_up: GiveUp = never_give_up


UNLIMITED = AttemptLimits()


class TimeLimit:
    """Watch over one try of a step, and interrupt it when its time is up.

    The time in which the step waits for a ledger that answers nothing is the ledger's, not its.

    Code that cannot be interrupted, because it does not come back from a call into C, ends its
    attempt all the same: the end is recorded in its place, and it is fenced from then on (I3).
    """

    def __init__(
        self, span: timedelta, lease: Lease, stuck: Callable[[], None], silence: Silence = answers
    ) -> None:
        self.has_passed: bool = False
        self._silence = silence
        self._span = span
        self._lease = lease
        self._stuck = stuck
        self._over = threading.Event()

    @contextmanager
    def watching(self, code: RunningCode) -> Iterator[None]:
        """Watch while code of the job's own runs."""
        watcher = threading.Thread(
            target=self._watch, args=(code,), name="failsoft-time-limit", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            self._over.set()

    def _watch(self, code: RunningCode) -> None:
        left = self._span.total_seconds()
        while left > 0:
            if self._over.wait(left):
                return
            left = self._silence(code.thread)
            while self._silence(code.thread):
                if self._over.wait(SILENCE_SECONDS):
                    return
        self.has_passed = True
        self._lease.interrupt(code, StepTimedOut)
        if not self._over.wait(STUCK_SECONDS):
            self._stuck()


def step_timeout(name: str, span: timedelta) -> StepTimeoutError:
    """Return the error of a step whose time was up."""
    return StepTimeoutError(f"step {name!r} took longer than its timeout of {span}")
