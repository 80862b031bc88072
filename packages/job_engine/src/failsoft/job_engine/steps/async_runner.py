"""Performing a step of an `async def` job: on its loop, or in a thread if it is plain."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from failsoft.job_engine.attempt.event_loop import off_loop
from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import STUCK_SECONDS, End, GiveUp, step_timeout
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.steps.journal import Journal
from failsoft.job_engine.steps.once import NotDone, error_in_doubt, interrupted_in_doubt
from failsoft.job_engine.steps.runner import LOOK_SECONDS, StepPolicy, StepRunner, as_it_is

Work = Callable[[], Any]


class AsyncStepRunner:
    """Call what a step does, with the authority of one attempt."""

    def __init__(self, journal: Journal, lease: Lease, clock: Clock, give_up: GiveUp) -> None:
        """Perform the steps of one attempt."""
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._give_up = give_up
        self._in_threads = StepRunner(journal, lease, clock, give_up)

    async def perform(self, name: str, work: Work, policy: StepPolicy) -> Any:
        """Call it, and again while the policy says so."""
        for failures in count(1):
            try:
                return await self._call(name, work, policy.timeout)
            except Exception as error:
                pause = policy.retry.delay(failures, error) if policy.retry else None
                if pause is None:
                    raise
            await self._wait(pause)
            await off_loop(partial(self._journal.ask, name))
        raise AssertionError("a count has no end")

    async def perform_once(
        self, name: str, work: Work, verify: Work | None, policy: StepPolicy, *, begun: bool
    ) -> Any:
        """Call it unless it may have taken effect before (rule 10).

        Raises:
            HoldRequested: It may have, and there is no way to find out.
        """
        if not begun:
            await off_loop(partial(self._journal.record, name, StepKind.INTENT, "null"))
        elif verify is None:
            raise interrupted_in_doubt(name)
        else:
            known = await self._call(name, verify, policy.timeout)
            if not isinstance(known, NotDone):
                return known
        if verify is not None:
            return await self._call(name, work, policy.timeout)
        try:
            return await self._call(name, work, policy.timeout, partial(error_in_doubt, name))
        except Interrupt:
            raise
        except BaseException as error:
            # Cancelled by us, which is an interrupt; anything else may have taken effect before.
            self._lease.check()
            raise error_in_doubt(name, error) from error

    async def _call(
        self,
        name: str,
        work: Work,
        timeout: timedelta | None,
        meaning: Callable[[Exception], End] = as_it_is,
    ) -> Any:
        if not is_async(work):
            call = partial(self._in_threads.call, name, work, timeout, meaning)
            return await off_loop(call)
        if self._journal.is_stale(name):
            await off_loop(partial(self._journal.ask_if_stale, name))
        with self._journal.open(name):
            self._lease.check()
            return await self._limited(name, work, timeout, meaning)

    async def _limited(
        self,
        name: str,
        work: Callable[[], Awaitable[Any]],
        timeout: timedelta | None,
        meaning: Callable[[Exception], End],
    ) -> Any:
        if timeout is None:
            return await self._body(work)
        late, seconds = step_timeout(name, timeout), timeout.total_seconds()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        stuck = threading.Timer(seconds + STUCK_SECONDS, lambda: self._give_up(meaning(late)))
        stuck.daemon = True
        stuck.start()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                value = await self._body(work)
        except TimeoutError:
            if limit.expired():
                raise late from None
            raise
        finally:
            stuck.cancel()
        if limit.expired() or loop.time() >= ends_at:
            raise late
        return value

    async def _wait(self, pause: timedelta) -> None:
        ends_at = self._clock.steady() + pause.total_seconds()
        while (rest := ends_at - self._clock.steady()) > 0:
            self._lease.check()
            await off_loop(partial(self._clock.sleep, min(rest, LOOK_SECONDS)))

    async def _body(self, work: Callable[[], Awaitable[Any]]) -> Any:
        reached("body.before")
        try:
            value = await work()
        except BaseException as error:
            self._lease.end_fork(error)
            raise
        self._lease.end_fork()
        reached("body.after")
        return value


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling it gives a coroutine."""
    while isinstance(function, partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method itself is wanted
