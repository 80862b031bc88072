"""Performing a step whose result is not recorded yet: again after an error, or once for all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from failsoft.job_engine.attempt.interrupts import Interrupt, StepTimedOut
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import (
    End,
    GiveUp,
    TimeLimit,
    never_give_up,
    step_timeout,
)
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.steps.journal import Journal
from failsoft.job_engine.steps.once import NotDone, error_in_doubt, interrupted_in_doubt

T = TypeVar("T")

#: How long a step that waits for its next try does not look whether its attempt is over.
LOOK_SECONDS = 0.2


def as_it_is(error: Exception) -> End:
    """Take an error for what it is: the job's."""
    return error


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How a step is performed.

    Attributes:
        retry: Whether it is tried again within the attempt when it raises.
        timeout: The longest one try may take.
        once: Whether it is never begun a second time.
        verify: Finds out whether a `once` step has taken effect, if there is a way.
        tx: Whether its work shares the transaction that records it.
    """

    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    once: bool = False
    verify: Callable[..., Any] | None = None
    tx: bool = False


class StepRunner:
    """Call what a step does, with the authority of one attempt."""

    def __init__(
        self, journal: Journal, lease: Lease, clock: Clock, give_up: GiveUp = never_give_up
    ) -> None:
        """Perform the steps of one attempt."""
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._give_up = give_up

    def perform(self, name: str, work: Callable[[], T], policy: StepPolicy) -> T:
        """Call it, and again while the policy says so."""
        return self.tried(name, lambda: self.call(name, work, policy.timeout), policy)

    def tried(self, name: str, once: Callable[[], T], policy: StepPolicy) -> T:
        """Try a step, and again while the policy says so."""
        for failures in count(1):
            try:
                return once()
            except Exception as error:
                pause = policy.retry.delay(failures, error) if policy.retry else None
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
        policy: StepPolicy,
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
            raise interrupted_in_doubt(name)
        elif not isinstance(known := self.call(name, verify, policy.timeout), NotDone):
            return known

        if verify is not None:
            return self.call(name, work, policy.timeout)
        try:
            return self.call(name, work, policy.timeout, partial(error_in_doubt, name))
        except Interrupt:
            raise
        except BaseException as error:
            # Whatever it raised, it may have taken effect before.
            raise error_in_doubt(name, error) from error

    def call(
        self,
        name: str,
        work: Callable[[], T],
        timeout: timedelta | None,
        meaning: Callable[[Exception], End] = as_it_is,
    ) -> T:
        """Call it once.

        Args:
            name: The step.
            work: What it does.
            timeout: The longest it may take.
            meaning: What the attempt ends with if it takes longer and cannot be interrupted.
        """
        self._journal.ask_if_stale(name)
        limited = self._limited(name, timeout, meaning) if timeout else self._lease.job_code()
        with self._journal.open(name), limited:
            reached("body.before")
            value = self._lease.call(work)
            reached("body.after")
        return value

    @contextmanager
    def _limited(
        self, name: str, timeout: timedelta, meaning: Callable[[Exception], End]
    ) -> Iterator[None]:
        """Mark code of the job's own that takes no longer than its timeout.

        Raises:
            StepTimeoutError: It did, also if it swallowed the interrupt and went on.
        """
        late = step_timeout(name, timeout)
        limit = TimeLimit(
            timeout, self._lease, lambda: self._give_up(meaning(late)), self._journal.silence
        )
        try:
            with self._lease.job_code() as code, limit.watching(code):
                yield
        except StepTimedOut:
            raise late from None
        if limit.has_passed:
            raise late

    def _wait(self, pause: timedelta) -> None:
        ends_at = self._clock.steady() + pause.total_seconds()
        while (rest := ends_at - self._clock.steady()) > 0:
            self._lease.check()
            self._clock.sleep(min(rest, LOOK_SECONDS))
