"""Processes that a job forks: they have no handlers of the worker's, and end with their parent.

A fork inherits the worker's signal handlers, with which a signal to the fork would stop the worker,
and nothing that ends the worker's own children with it. See docs/decisions/0033.
"""

import os
import signal
import threading
from functools import partial

from failsoft.worker.processes.parent_death import die_with_parent, watch_parent

_HANDLED = {signal.SIGTERM, signal.SIGINT}

#: Marks the threads that run as long as their process, and has what a thread notes before a fork.
_thread = threading.local()


def guard_forks() -> None:
    """Let later forks of this process end with it; to be called by the main thread."""
    stays()
    os.register_at_fork(
        before=_before,
        after_in_parent=_let_signals_through,
        after_in_child=partial(_in_child, os.getpid()),
    )


def stays() -> None:
    """Mark this thread as one that runs as long as the process."""
    _thread.stays = True


def _before() -> None:
    # The child may run when this process is dead, and has another parent then.
    _thread.forker = os.getpid()
    # A signal for the child is delivered once it has handlers of its own.
    _thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)


def _let_signals_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _thread.mask)


def _in_child(parent: int) -> None:
    # A fork of a fork is meant to outlive its parent, as a daemon does.
    if _thread.forker == parent:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _end_with(parent)
    _let_signals_through()


def _end_with(parent: int) -> None:
    if getattr(_thread, "stays", False):
        die_with_parent(parent)
    else:
        # The kernel would send its signal at the end of this thread, which may be soon.
        watch_parent(parent)
