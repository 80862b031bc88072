"""How a handle waits: it looks at the ledger, after pauses that grow, on a thread or on a loop."""

import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TypeVar

from failsoft.job_engine.awaiting import in_thread, pause
from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.validation import Expect

T = TypeVar("T")

#: The pause between two looks of a waiting handle, the first and the longest, in seconds.
FIRST_LOOK = 0.01
SLOWEST_LOOK = 0.25
#: How long a handle waits by default.
PATIENCE = timedelta(seconds=30)


def poll(
    look: Callable[[], T], is_over: Callable[[T], bool], clock: Clock, timeout: timedelta
) -> T:
    """Look, after growing pauses, until it is over or the time is up; return the last look.

    Raises:
        OptionInvalidError: The timeout is no span of time.
    """
    expect_timeout(timeout)
    deadline, next_look = Deadline.after(clock, timeout), FIRST_LOOK
    while not is_over(seen := look()) and not deadline.passed:
        clock.sleep(min(next_look, deadline.remaining()))
        next_look = min(next_look * 2, SLOWEST_LOOK)
    return seen


async def apoll(look: Callable[[], T], is_over: Callable[[T], bool], timeout: timedelta) -> T:
    """Do as `poll` on an event loop: a look is a thread's, and no thread waits meanwhile.

    To cancel it, at a look or at a pause, ends the wait and changes nothing.

    Raises:
        OptionInvalidError: The timeout is no span of time.
    """
    expect_timeout(timeout)
    ends_at, next_look = time.monotonic() + timeout.total_seconds(), FIRST_LOOK
    while not is_over(seen := await in_thread(look)) and (left := ends_at - time.monotonic()) > 0:
        await pause(min(next_look, left))
        next_look = min(next_look * 2, SLOWEST_LOOK)
    return seen


async def changes(look: Callable[[], T], is_over: Callable[[T], bool]) -> AsyncIterator[T]:
    """Yield what is seen at first, then each look that differs from the one before, until over."""
    before, next_look = None, FIRST_LOOK
    while True:
        seen = await in_thread(look)
        if seen != before:
            before, next_look = seen, FIRST_LOOK
            yield seen
        if is_over(seen):
            return
        await pause(next_look)
        next_look = min(next_look * 2, SLOWEST_LOOK)


def expect_timeout(timeout: timedelta) -> None:
    """Refuse a timeout that is no span of time.

    Raises:
        OptionInvalidError: The message says what was expected.
    """
    Expect(OptionInvalidError).span("a timeout", timeout, zero=True)
