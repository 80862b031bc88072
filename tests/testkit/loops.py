"""A job that awaits an object of the loop that it runs in."""

import asyncio

from failsoft.api import AsyncJobContext, job
from tests.testkit.jobs import Nothing

GATE: asyncio.Event | None = None


@job()
async def wait_for_gate(payload: Nothing, ctx: AsyncJobContext) -> int:
    assert GATE is not None
    await asyncio.wait_for(GATE.wait(), 30)
    return id(asyncio.get_running_loop())
