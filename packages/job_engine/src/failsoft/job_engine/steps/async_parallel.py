"""Steps of an `async def` job that run side by side, and what ends the attempt."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, overload

from failsoft.job_engine.attempt.context_variables import part_with_decimals
from failsoft.job_engine.attempt.event_loop import off_loop
from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import UNLIMITED, AttemptLimits
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim
from failsoft.job_engine.steps.async_driver import AsyncDriver
from failsoft.job_engine.steps.base import ContextBase
from failsoft.job_engine.steps.journal import CountStep, count_nothing, refuse
from failsoft.job_engine.steps.parallel import AT_ONCE, Branch, End
from failsoft.job_engine.steps.runner import StepPolicy
from failsoft.job_engine.tracing import UNTRACED, AttemptSpan

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
Args = TypeVarTuple("Args")
Params = ParamSpec("Params")


class AsyncBranches(ContextBase):
    """The half of `AsyncJobContext` that runs steps side by side."""

    awaits = True

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
        super().__init__(claim, ledger, lease, clock, limits=limits, count=count, trace=trace)
        self._on_loop = AsyncDriver(self._journal, lease, limits.give_up)
        self._under_way: str | None = None

    @overload
    def branch(
        self,
        name: str,
        fn: Callable[[*Args], Awaitable[T]],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> Branch[T]: ...

    @overload
    def branch(
        self,
        name: str,
        fn: Callable[[*Args], T],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> Branch[T]: ...

    @overload
    def branch(
        self,
        name: str,
        fn: Callable[Params, Awaitable[T]],
        /,
        *args: Params.args,
        **named: Params.kwargs,
    ) -> Branch[T]: ...

    @overload
    def branch(
        self, name: str, fn: Callable[Params, T], /, *args: Params.args, **named: Params.kwargs
    ) -> Branch[T]: ...

    def branch(
        self,
        name: str,
        fn: Callable[..., Any],
        /,
        *args: object,
        retry: Any = None,
        timeout: Any = None,
        **named: Any,
    ) -> Branch[Any]:
        """Return a step for `ctx.parallel`, as `JobContext.branch` does.

        `fn` may be a coroutine function; a plain one runs in a thread.
        """
        return self._branch(name, fn, args, named, policy=StepPolicy(retry, timeout))

    @overload
    async def parallel(
        self, one: Branch[T1], two: Branch[T2], /, *, at_once: int = ...
    ) -> tuple[T1, T2]: ...

    @overload
    async def parallel(
        self, one: Branch[T1], two: Branch[T2], three: Branch[T3], /, *, at_once: int = ...
    ) -> tuple[T1, T2, T3]: ...

    @overload
    async def parallel(
        self,
        one: Branch[T1],
        two: Branch[T2],
        three: Branch[T3],
        four: Branch[T4],
        /,
        *,
        at_once: int = ...,
    ) -> tuple[T1, T2, T3, T4]: ...

    @overload
    async def parallel(self, /, *branches: Branch[T], at_once: int = ...) -> tuple[T, ...]: ...

    async def parallel(self, /, *branches: Branch[Any], at_once: int = AT_ONCE) -> tuple[Any, ...]:
        """Run independent steps side by side, as `JobContext.parallel` does, but in tasks."""
        with self._machinery("parallel"):
            found = await off_loop(partial(self._look_up_all, branches, at_once))
            missing = [branch for branch in branches if branch.name not in found]
            turns = asyncio.Semaphore(at_once)
            ends = await asyncio.gather(*(self._end(branch, turns) for branch in missing))
            return self._leave_all(branches, found, missing, ends)

    async def _end(self, branch: Branch[Any], turns: asyncio.Semaphore) -> End:
        part_with_decimals()
        try:
            async with turns:
                return End(await self._on_loop.drive(self._run_branch(branch)))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # What a branch cancels itself is its error.
            return End(raised=error)
        except BaseException as error:  # noqa: BLE001 - raised again when all have ended
            return End(raised=error)

    @contextmanager
    def _machinery(self, name: str) -> Iterator[None]:
        """Do what a step takes, one step at a time: their order is their identity."""
        with self._interrupts():
            if self._under_way is not None:
                refuse(
                    f"step {name!r} was begun while {self._under_way!r} was under way; await one "
                    "after the other, or use ctx.parallel"
                )
            self._under_way = name
            try:
                yield
            finally:
                self._under_way = None

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        if self.ended_by is not None:
            raise self.ended_by
        try:
            self._lease.check()
            yield
            self._lease.check()
        except Interrupt as interrupt:
            self._end_by(interrupt)
            raise
        except asyncio.CancelledError:
            if self._lease.revoked_by is None:
                raise
            raise self._end_by(self._lease.revoked_by()) from None
