"""An `async def` job of a body."""

from collections.abc import Awaitable, Callable
from typing import Any

from failsoft.job_engine import AsyncJobContext, job
from failsoft.job_engine.definitions.definition import AnyDefinition
from tests.unit.support.attempts import Mail


def define_async(body: Callable[[Any], Awaitable[None]]) -> AnyDefinition:
    """Make a job of a coroutine function."""

    @job(name="welcome")
    async def handler(payload: Mail, ctx: AsyncJobContext) -> None:
        await body(ctx)

    return handler
