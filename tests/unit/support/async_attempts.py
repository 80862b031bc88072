"""One `async def` job on a ledger in memory."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from tenacity import wait_none

from failsoft.job_engine import (
    AsyncJobContext,
    JobState,
    RetryPolicy,
    job,
)
from failsoft.job_engine.attempt.lease import Lease
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from tests.unit.support.attempts import AttemptRunner, Mail

Body = Callable[[AsyncJobContext], Coroutine[Any, Any, Any]]
SHORT = timedelta(milliseconds=30)
TWICE = RetryPolicy(max_attempts=2, wait=wait_none())


class AsyncAttemptRunner(AttemptRunner):
    """One `async def` job on a ledger in memory."""

    def go(self, body: Body) -> JobState | None:
        """Run one attempt."""

        async def handler(payload: Mail, ctx: AsyncJobContext) -> Any:
            return await body(ctx)

        self.definitions = [job(name="welcome", retry=TWICE)(handler)]
        self.lease = Lease(interrupt_thread)
        return self.executor.run(self.claim(), self.lease)


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2
