"""Running a step whose result is not recorded yet: again after an error, or once for all.

The protocol is written as generators: they yield what is to be called, which is code of the job's
or a function that may block. `driver.py` calls it in this thread, `async_driver.py` awaits it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import End
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import StepTimeoutError
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.steps.journal import Journal
from failsoft.job_engine.steps.once import NotDone, error_in_doubt, interrupted_in_doubt

T = TypeVar("T")

#: How long a step that waits for its next try does not look whether its attempt is over.
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How a step is run.

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


@dataclass(slots=True)
class JobCode:
    """One call of a step's own code.

    Attributes:
        step: The step's name.
        work: What is called.
        timeout: The longest it may take.
        in_doubt: Whether an error leaves open if it has taken effect: a `once` step's.
    """

    step: str
    work: Callable[[], Any]
    timeout: timedelta | None = None
    in_doubt: bool = False

    def end(self, error: Exception) -> End:
        """Return what the attempt ends with if the code cannot be interrupted."""
        return error_in_doubt(self.step, error) if self.in_doubt else error


#: What a driver calls: code of the job's, or a call of the ledger or a wait, which may block.
Effect = JobCode | Callable[[], Any]
#: A part of the protocol: it yields effects, receives what they return or raise, and returns.
Protocol = Generator[Effect, Any, T]


class StepRunner:
    """The protocol of a step that is not recorded yet, with the authority of one attempt."""

    def __init__(self, journal: Journal, lease: Lease, clock: Clock) -> None:
        self._journal = journal
        self._lease = lease
        self._clock = clock

    def run(
        self,
        step: str,
        work: Callable[[], Any],
        policy: StepPolicy,
        kind: StepKind = StepKind.RUN,
    ) -> Protocol[Any]:
        """Call it, and again while the policy says so."""
        return self.retried(step, JobCode(step, work, policy.timeout), policy, kind)

    def retried(
        self, step: str, effect: Effect, policy: StepPolicy, kind: StepKind = StepKind.RUN
    ) -> Protocol[Any]:
        """Have an effect, and again after an error while the policy says so."""
        for failures in count(1):
            try:
                return (yield from self._timed(kind, effect))
            except Exception as error:
                pause = policy.retry.delay(failures, error) if policy.retry else None
                if pause is None:
                    raise
            self._journal.count(kind, "retried")
            yield from self._wait(pause)
            yield partial(self._journal.confirm, step)
        raise AssertionError("a count has no end")

    def run_once(
        self,
        step: str,
        work: Callable[[], Any],
        verify: Callable[[], Any] | None,
        policy: StepPolicy,
        *,
        begun: bool,
    ) -> Protocol[Any]:
        """Call it unless it may have taken effect before (rule 10).

        Raises:
            HoldRequested: It may have, and there is no way to find out.
        """
        if not begun:
            yield partial(self._journal.record, step, StepKind.INTENT, "null")
        elif verify is None:
            raise interrupted_in_doubt(step)
        else:
            known = yield JobCode(step, verify, policy.timeout)
            if not isinstance(known, NotDone):
                return known

        if verify is not None:
            call = JobCode(step, work, policy.timeout)
            return (yield from self._timed(StepKind.ONCE, call))
        try:
            call = JobCode(step, work, policy.timeout, in_doubt=True)
            return (yield from self._timed(StepKind.ONCE, call))
        except Interrupt:
            raise
        except BaseException as error:
            # Whatever it raised, it may have taken effect before.
            raise error_in_doubt(step, error) from error

    def _timed(self, kind: StepKind, effect: Effect) -> Protocol[Any]:
        try:
            return (yield effect)
        except StepTimeoutError:
            self._journal.count(kind, "timed_out")
            raise

    def _wait(self, pause: timedelta) -> Protocol[None]:
        ends_at = self._clock.steady() + pause.total_seconds()
        while (rest := ends_at - self._clock.steady()) > 0:
            self._lease.check()
            yield partial(self._clock.sleep, min(rest, LOOK_SECONDS))
