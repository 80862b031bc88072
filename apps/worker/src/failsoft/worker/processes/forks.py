"""What a job forks from the process that it runs in: a plain process, that ends with its parent.

A fork inherits the worker's signal handlers, which would stop the worker on the fork's behalf, and
none of what ends the worker's own children with it. See docs/decisions/0033.
"""

import os
import signal
import threading
from functools import partial

from failsoft.worker.processes.parent_death import die_with_parent, watch_parent

_HANDLED = {signal.SIGTERM, signal.SIGINT}

#: Marks the threads that live as long as their process.
_thread = threading.local()


def guard_forks() -> None:
    """Have what is forked from this process from now on end with it; called by its main thread."""
    stays()
    os.register_at_fork(
        before=_hold_signals,
        after_in_parent=_let_signals_through,
        after_in_child=partial(_in_child, os.getpid()),
    )


def stays() -> None:
    """Say that this thread lives as long as the process."""
    _thread.stays = True


def _hold_signals() -> None:
    # One that comes to the child before it has handlers of its own waits until it has.
    _thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)


def _let_signals_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _thread.mask)


def _in_child(parent: int) -> None:
    # A fork of a fork is meant to outlive that, as a daemon does.
    if os.getppid() == parent:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _end_with(parent)
    _let_signals_through()


def _end_with(parent: int) -> None:
    if getattr(_thread, "stays", False):
        die_with_parent(parent)
    else:
        # The kernel's signal comes when the thread ends that forked, and this one may end soon.
        watch_parent(parent)
