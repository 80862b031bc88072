"""What the two contexts of a job share, the plain one and the one of `async def` handlers."""

import json
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count as counting
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID, uuid4

from failsoft.job_engine.attempt.interrupts import HoldRequested, Interrupt, Suspended
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import UNLIMITED, AttemptLimits
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import ResultInvalidError
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord
from failsoft.job_engine.steps.checks import (
    check_batches,
    check_branches,
    check_named,
    check_plain,
    check_sleep,
    check_step,
)
from failsoft.job_engine.steps.driver import Driver
from failsoft.job_engine.steps.journal import CountStep, Journal, count_nothing, refuse
from failsoft.job_engine.steps.parallel import Branch, End, raise_first
from failsoft.job_engine.steps.progress import ProgressNote
from failsoft.job_engine.steps.runner import JobCode, Protocol, StepPolicy, StepRunner
from failsoft.job_engine.steps.tx import tx_timeout
from failsoft.job_engine.steps.waits import WaitSteps
from failsoft.job_engine.tracing import UNTRACED, AttemptSpan
from failsoft.job_engine.values.annotations import is_async
from failsoft.job_engine.values.codec import Result, result_of

T = TypeVar("T")

# A deploy may let steps run side by side that ran one after the other, and the reverse.
_MAY_BE_BRANCH = frozenset({StepKind.RUN, StepKind.BRANCH})
_MAY_BE_RUN = _MAY_BE_BRANCH | {StepKind.INTENT, StepKind.ONCE}


class _JobLog(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class ContextBase:
    """What every job has of its own, and how its steps are looked up and recorded.

    Attributes:
        job_id: The job's id, the same in every attempt and on every engine.
        attempt: 1 for the first execution, one more for each after it.
        queue: The queue the job runs on.
        log: A logger whose records name the job.
        ended_by: The interrupt that ended the attempt, if one did; every later call raises it
            again, so that even `except BaseException` in a job goes no further.
        awaits: Whether steps may be coroutine functions.
    """

    awaits = False

    def __init__(
        self,
        claim: Claim,
        ledger: AttemptLedger,
        lease: Lease,
        clock: Clock,
        *,
        limits: AttemptLimits = UNLIMITED,
        count: CountStep = count_nothing,
        trace: AttemptSpan = UNTRACED,
    ) -> None:
        self.job_id: str = claim.job_id
        self.attempt: int = claim.attempt
        self._idempotency_root = claim.idempotency_root or claim.job_id
        self.queue: str = claim.queue
        self.log: logging.LoggerAdapter[logging.Logger] = _JobLog(
            logging.getLogger("failsoft.job"),
            {"job_id": claim.job_id, "job": claim.name, "attempt": claim.attempt},
        )
        self.ended_by: Interrupt | None = None
        self._lease = lease
        self._clock = clock
        self._limits = limits
        self._journal = Journal(claim, ledger, lease, clock, count=count, trace=trace)
        self._runner = StepRunner(self._journal, lease, clock)
        self._in_this_thread = Driver(self._journal, lease, limits.give_up)
        self._wait_steps = WaitSteps(self._journal)
        self._progress = ProgressNote(claim, ledger, clock)

    def idempotency_key(self, step: str) -> str:
        """Return a key for the step's side effects: the same in every attempt and engine.

        A retry of a failed job goes on with the keys of that job.
        """
        return f"{self._idempotency_root}:{step}"

    def _end_by(self, interrupt: Interrupt) -> Interrupt:
        self.ended_by = interrupt
        return interrupt

    def flush(self) -> None:
        """Write progress not written yet; the executor calls it when the job returns."""
        self._progress.write()

    def _run(
        self,
        name: str,
        fn: Callable[..., Any],
        args: Sequence[object],
        named: Mapping[str, object],
        *,
        policy: StepPolicy,
    ) -> Protocol[Any]:
        """Run a step unless it is recorded, record it, and return its result."""
        if named:
            check_named(name, fn, (None, *args) if policy.tx else args, named)
        result, found = yield partial(self._look_up, name, fn, policy)
        if policy.tx and found is None:
            if is_async(fn):
                refuse(f"step {name!r}: expected a plain function for a `tx` step")
            found = yield from self._transact(
                name, lambda connection: fn(connection, *args, **named), result, policy
            )
        elif found is None or found.kind is StepKind.INTENT:
            begun = found is not None
            work = partial(fn, *args, **named)
            if policy.once:
                verify = policy.verify and partial(policy.verify, *args, **named)
                value = yield from self._runner.run_once(name, work, verify, policy, begun=begun)
            else:
                value = yield from self._runner.run(name, work, policy)
            kind = StepKind.ONCE if policy.once or begun else StepKind.RUN
            found = yield partial(self._keep, name, kind, result, value)
        return self._leave(found, result)

    def _run_branch(self, branch: Branch[Any]) -> Protocol[StepRecord]:
        value = yield from self._runner.run(
            branch.name, branch.work, branch.policy, StepKind.BRANCH
        )
        keep = partial(self._keep, branch.name, StepKind.BRANCH, branch.result, value)
        kept: StepRecord = yield keep
        return kept

    def _look_up(
        self, name: str, fn: Callable[..., Any], policy: StepPolicy
    ) -> tuple[Result[Any], StepRecord | None]:
        """Check a step, and begin it: return how its result is kept and what is recorded."""
        self._check_step(name, fn, policy)
        result = self._translated(name, result_of, fn)
        kinds = _MAY_BE_BRANCH if policy.tx else _MAY_BE_RUN
        return result, self._journal.begin(name, kinds)

    def _transact(
        self, name: str, work: Callable[[Any], Any], result: Result[Any], policy: StepPolicy
    ) -> Protocol[StepRecord]:
        def encoded(connection: Any) -> str:
            timeout = tx_timeout(policy, self._journal.lease)
            value = self._in_this_thread.call(JobCode(name, partial(work, connection), timeout))
            text: str = self._translated(name, result.encode, value)
            return text

        return self._runner.retried(name, partial(self._journal.record_in, name, encoded), policy)

    def _branch(
        self,
        name: str,
        fn: Callable[..., Any],
        args: Sequence[object],
        named: Mapping[str, object],
        *,
        policy: StepPolicy,
    ) -> Branch[Any]:
        try:
            self._check_step(name, fn, policy)
            if named:
                check_named(name, fn, args, named)
            result = self._translated(name, result_of, fn)
            return Branch(name, partial(fn, *args, **named), result, policy)
        except Interrupt as interrupt:
            self.ended_by = interrupt
            raise

    def _look_up_all(self, branches: Sequence[Branch[Any]], at_once: int) -> dict[str, StepRecord]:
        """Begin all branches, each at its own place; return what is recorded of them."""
        check_branches(branches, at_once)
        begun = (
            self._journal.begin(branch.name, _MAY_BE_BRANCH, ahead=place)
            for place, branch in enumerate(branches)
        )
        return {record.name: record for record in begun if record is not None}

    def _leave_all(
        self,
        branches: Sequence[Branch[Any]],
        found: dict[str, StepRecord],
        missing: Sequence[Branch[Any]],
        ends: Sequence[End],
    ) -> tuple[Any, ...]:
        for branch in branches:
            # Also those that raised: their places are theirs, whatever the job does next.
            self._journal.leave(branch.name)
        raise_first(ends)
        for branch, end in zip(missing, ends, strict=True):
            if end.recorded is not None:
                found[branch.name] = end.recorded
        return tuple(
            self._translated(each.name, each.result.decode, found[each.name].result)
            for each in branches
        )

    def _keep(self, name: str, kind: StepKind, result: Result[Any], value: object) -> StepRecord:
        text = self._translated(name, result.encode, value)
        recorded = self._journal.record(name, kind, text)
        self._progress.write_if_due()
        return recorded

    def _leave(self, recorded: StepRecord, result: Result[Any]) -> Any:
        self._journal.leave(recorded.name)
        return self._translated(recorded.name, result.decode, recorded.result)

    def _check_step(self, name: str, fn: Callable[..., Any], policy: StepPolicy) -> None:
        longest = self._limits.timeout
        check_step(name, fn, policy, lease=self._journal.lease, longest=longest)
        if not self.awaits:
            check_plain(name, fn)

    def _fall_asleep(self, name: str, span: timedelta, moment: datetime | None) -> None:
        check_sleep(name, span, moment)
        if self._journal.begin(name, {StepKind.SLEEP}) is None:
            self._journal.count(StepKind.SLEEP, "run")
            note = json.dumps(f"until {moment.isoformat()}" if moment else f"for {span}")
            raise Suspended(self._journal.step(name, StepKind.SLEEP, note), span, moment)
        # A recorded sleep is over: the ledger wakes no job before the time (rule 12).
        self._journal.leave(name)

    def _translated(self, name: str, translate: Callable[[Any], Any], value: Any) -> Any:
        try:
            return translate(value)
        except ResultInvalidError as error:
            raise HoldRequested(ResultInvalidError(f"step {name!r}: {error}")) from error


def batches_of(name: str, items: Iterable[T], size: int) -> Iterator[tuple[str, list[T]]]:
    """Go through batches, each with the name of its step."""
    check_batches(name, items, size)
    rest = iter(items)
    for number in counting(1):
        if not (batch := list(islice(rest, size))):
            return
        yield f"{name} {number}", batch


def fresh_uuid() -> UUID:
    """Return a random UUID."""
    return uuid4()


def fresh_random() -> float:
    """Return a random number from 0 to 1."""
    return random.random()
