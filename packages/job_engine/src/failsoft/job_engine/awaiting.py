"""What coroutines of a program's own loop await.

`asyncio` takes as long to import as half of what a program needs to dispatch a job. Where a
coroutine runs, the loop that runs it has imported it before.
"""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, which is called off the loop, with this task's context."""
    import asyncio  # noqa: PLC0415 - see above

    return await asyncio.to_thread(work)


async def pause(seconds: float) -> None:
    """Wait; the loop goes on."""
    import asyncio  # noqa: PLC0415 - see above

    await asyncio.sleep(seconds)
