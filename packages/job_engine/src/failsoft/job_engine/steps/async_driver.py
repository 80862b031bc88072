"""Driving the protocol of a step on the loop of an `async def` job; what may block, in threads."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from failsoft.job_engine.attempt.event_loop import off_loop
from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import STUCK_SECONDS, GiveUp, step_timeout
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.steps.driver import Driver
from failsoft.job_engine.steps.journal import Journal
from failsoft.job_engine.steps.runner import JobCode, Protocol
from failsoft.job_engine.values.annotations import is_async

T = TypeVar("T")


class AsyncDriver:
    """Awaits what the steps of one attempt yield; what is plain, and may block, in threads."""

    def __init__(self, journal: Journal, lease: Lease, give_up: GiveUp) -> None:
        self._journal = journal
        self._lease = lease
        self._give_up = give_up
        self._in_threads = Driver(journal, lease, give_up)

    async def drive(self, protocol: Protocol[T]) -> T:
        """Await what the protocol yields, and return what it returns."""
        try:
            effect = next(protocol)
            while True:
                try:
                    if isinstance(effect, JobCode):
                        value = await self._call(effect)
                    else:
                        value = await off_loop(effect)
                except BaseException as error:  # noqa: BLE001 - the protocol decides
                    effect = protocol.throw(error)
                else:
                    effect = protocol.send(value)
        except StopIteration as end:
            returned: T = end.value
            return returned

    async def _call(self, code: JobCode) -> Any:
        try:
            if is_async(code.work):
                return await self._call_on_loop(code)
            return await off_loop(partial(self._in_threads.call, code))
        except Interrupt:
            raise
        except BaseException:
            if code.in_doubt:
                # Cancelled by us, which is an interrupt; anything else leaves it in doubt.
                self._lease.check()
            raise

    async def _call_on_loop(self, code: JobCode) -> Any:
        if self._journal.is_stale(code.step):
            await off_loop(partial(self._journal.confirm_if_stale, code.step))
        with self._journal.open(code.step):
            self._lease.check()
            if code.timeout is None:
                return await self._body(code.work)
            return await self._limited(code, code.timeout)

    async def _limited(self, code: JobCode, timeout: timedelta) -> Any:
        late, seconds = step_timeout(code.step, timeout), timeout.total_seconds()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        stuck = threading.Timer(seconds + STUCK_SECONDS, lambda: self._give_up(code.end(late)))
        stuck.daemon = True
        stuck.start()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                value = await self._body(code.work)
        except TimeoutError:
            if limit.expired():
                raise late from None
            raise
        finally:
            stuck.cancel()
        if limit.expired() or loop.time() >= ends_at:
            raise late
        return value

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
