"""A process that ends when its parent does, even by SIGKILL, and one that gets another parent."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 1, 36, 37


def die_with_parent(parent: int | None = None) -> None:
    """Let this process be killed with its parent.

    On Linux the kernel sends SIGKILL when the thread ends that started this process; elsewhere a
    thread checks once a second.

    Args:
        parent: The expected parent's process id; by default the current parent's, which does not
            detect one that died while this process was starting.
    """
    parent = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        watch_parent(parent)
    if os.getppid() != parent:
        # It died between the start of this process and the request.
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def adopting() -> Iterator[None]:
    """Let this process be the next parent of its offspring whose own parent ends, in the block.

    Raises:
        OSError: The system has no such thing; Linux has.
    """
    before = ctypes.c_int()
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(before.value))


def _prctl(option: int, argument: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl") or libc.prctl(option, argument, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def watch_parent(parent: int) -> None:
    """End this process within a second of its parent's end, whichever thread started it."""
    threading.Thread(
        target=_watch, args=(parent,), name="failsoft-watch-parent", daemon=True
    ).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
