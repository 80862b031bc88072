"""The signals that stop a process."""

import signal
from collections.abc import Callable
from types import FrameType


def on_stop_signals(handle: Callable[[], object]) -> None:
    """Call a function at each SIGTERM and SIGINT; to be called by the main thread.

    The function runs in the signal handler, between two bytecodes of the main thread: it must not
    acquire a lock, which the interrupted code may hold.
    """

    def handler(signum: int, frame: FrameType | None) -> None:
        handle()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, handler)
