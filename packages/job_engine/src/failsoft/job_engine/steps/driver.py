"""Driving the protocol of a step in the thread that runs the job."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from failsoft.job_engine.attempt.interrupts import StepTimedOut
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import GiveUp, TimeLimit, step_timeout
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.steps.journal import Journal
from failsoft.job_engine.steps.runner import JobCode, Protocol

T = TypeVar("T")


class Driver:
    """Calls what the steps of one attempt yield."""

    def __init__(self, journal: Journal, lease: Lease, give_up: GiveUp) -> None:
        self._journal = journal
        self._lease = lease
        self._give_up = give_up

    def drive(self, protocol: Protocol[T]) -> T:
        """Call what the protocol yields, and return what it returns."""
        stopped: StopIteration | None = None
        try:
            effect = next(protocol)
            while True:
                try:
                    value = self.call(effect) if isinstance(effect, JobCode) else effect()
                except BaseException as error:  # noqa: BLE001 - the protocol decides
                    stopped = error if isinstance(error, StopIteration) else None
                    effect = protocol.throw(error)
                else:
                    effect = protocol.send(value)
        except StopIteration as end:
            returned: T = end.value
            return returned
        except RuntimeError as error:
            if stopped is None or error.__cause__ is not stopped:
                raise
        # A generator cannot raise it, and raised the other in its place (PEP 479).
        raise stopped

    def call(self, code: JobCode) -> Any:
        """Call code of the job's own, once."""
        self._journal.confirm_if_stale(code.step)
        timeout = code.timeout
        limited = self._limited(code, timeout) if timeout else self._lease.job_code()
        with self._journal.open(code.step), limited:
            reached("body.before")
            value = self._lease.call(code.work)
            reached("body.after")
        return value

    @contextmanager
    def _limited(self, code: JobCode, timeout: timedelta) -> Iterator[None]:
        """Mark code of the job's own that takes no longer than its timeout.

        Raises:
            StepTimeoutError: It did, also if it swallowed the interrupt and went on.
        """
        late = step_timeout(code.step, timeout)
        limit = TimeLimit(
            timeout, self._lease, lambda: self._give_up(code.end(late)), self._journal.silence
        )
        try:
            with self._lease.job_code() as running, limit.watching(running):
                yield
        except StepTimedOut:
            raise late from None
        if limit.has_passed:
            raise late
