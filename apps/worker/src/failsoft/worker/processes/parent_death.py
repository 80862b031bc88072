"""A process that ends when its parent does, even by SIGKILL."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """Ask to be killed with the parent.

    On Linux the kernel does it, whatever this process is busy with, when the thread ends that
    started it; elsewhere a thread looks once a second.

    Args:
        parent: Who the parent must be; by default whoever it is now, which is too late for one
            that died while this process was starting.
    """
    parent = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        watch_parent(parent)
    if os.getppid() != parent:
        # It died between our birth and the request.
        os.kill(os.getpid(), signal.SIGKILL)


def watch_parent(parent: int) -> None:
    """End this process within a second of its parent's end, whichever thread started it."""
    threading.Thread(
        target=_watch, args=(parent,), name="failsoft-watch-parent", daemon=True
    ).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
