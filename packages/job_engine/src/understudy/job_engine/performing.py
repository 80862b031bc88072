"""Performing a step whose result is not recorded yet: again after an error, or once for all."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import TypeVar

from understudy.job_engine.clock import Clock
from understudy.job_engine.crash_points import CRASH_POINTS
from understudy.job_engine.doubt import NotDone, begun_before, raised
from understudy.job_engine.journal import Journal
from understudy.job_engine.lease import Lease
from understudy.job_engine.records import StepKind
from understudy.job_engine.retry import RetryPolicy

T = TypeVar("T")

#: How long a step that waits for its next try does not look whether its attempt is over.
LOOK_SECONDS = 0.2


class Performer:
    """Call what a step does, with the authority of one attempt."""

    def __init__(self, journal: Journal, lease: Lease, clock: Clock) -> None:
        """Perform the steps of one attempt."""
        self._journal = journal
        self._lease = lease
        self._clock = clock

    def perform(self, name: str, work: Callable[[], T], retry: RetryPolicy | None) -> T:
        """Call it, and again while the policy says so."""
        for failures in count(1):
            try:
                return self._call(name, work)
            except Exception as error:
                pause = retry.delay(failures, error) if retry else None
                if pause is None:
                    raise
            self._wait(pause)
            self._journal.ask(name)
        raise AssertionError("a count has no end")

    def perform_once(
        self,
        name: str,
        work: Callable[[], T],
        verify: Callable[[], T | NotDone] | None,
        *,
        begun: bool,
    ) -> T:
        """Call it unless it may have taken effect before (rule 10).

        Raises:
            HoldRequested: It may have, and there is no way to find out.
        """
        if not begun:
            self._journal.record(name, StepKind.INTENT, "null")
        elif verify is None:
            raise begun_before(name)
        elif not isinstance(known := self._call(name, verify), NotDone):
            return known
        try:
            return self._call(name, work)
        except Exception as error:
            if verify is None:
                raise raised(name, error) from error
            raise

    def _call(self, name: str, work: Callable[[], T]) -> T:
        self._journal.ask_if_stale(name)
        with self._journal.open(name), self._lease.job_code():
            if CRASH_POINTS.reached is not None:
                CRASH_POINTS.reached("body.before")
            value = work()
            if CRASH_POINTS.reached is not None:
                CRASH_POINTS.reached("body.after")
            return value

    def _wait(self, pause: timedelta) -> None:
        ends_at = self._clock.steady() + pause.total_seconds()
        while (rest := ends_at - self._clock.steady()) > 0:
            self._lease.check()
            self._clock.sleep(min(rest, LOOK_SECONDS))
