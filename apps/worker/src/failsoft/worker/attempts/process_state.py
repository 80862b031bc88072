"""What the jobs of a process with threads share besides memory, restored after each attempt.

The working directory and the umask belong to one thread where Linux allows it. The rest belongs to
the whole process: it is restored when an attempt ends that has changed it, also while others run.
What is not listed here, as the environment and the modules' globals, stays as a job leaves it; see
docs/explain/processes.md.
"""

import ctypes
import gc
import locale
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Of `unshare`: the working directory, the root and the umask.
_CLONE_FS = 0x200


class ProcessState:
    """The state of a process before its first job."""

    def __init__(self) -> None:
        self._unshare = _find_unshare()
        self._folder = _open_folder()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        # One that is set now was not set by a job.
        self._has_alarm = signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0)
        self._locale = locale.setlocale(locale.LC_ALL)
        self._filters = list(warnings.filters)
        self._timeout = socket.getdefaulttimeout()
        self._recursion = sys.getrecursionlimit()
        self._collects = gc.isenabled()

    @contextmanager
    def kept(self) -> Iterator[Callable[[], object]]:
        """Run an attempt in this thread, and restore what it has changed.

        Yields:
            What restores it already, once: what another attempt has changed since is that one's.
        """
        # For each attempt: threads that the last one left behind share this thread's.
        if self._unshare is not None:
            self._unshare(_CLONE_FS)
        restore = _Once(self._restore)
        try:
            yield restore
        finally:
            restore()

    def _restore(self) -> None:
        if self._folder is not None:
            # Its permissions may have changed.
            with suppress(OSError):
                os.fchdir(self._folder)
        os.umask(self._umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if not self._has_alarm:
            # An alarm without a handler, which only the main thread can set, ends the process.
            signal.setitimer(signal.ITIMER_REAL, 0)
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
        if warnings.filters != self._filters:
            warnings.resetwarnings()
            list.extend(warnings.filters, self._filters)  # type: ignore[arg-type]
        if socket.getdefaulttimeout() != self._timeout:
            socket.setdefaulttimeout(self._timeout)
        if sys.getrecursionlimit() != self._recursion:
            # Not while this thread is deeper than that.
            with suppress(RecursionError):
                sys.setrecursionlimit(self._recursion)
        if gc.isenabled() != self._collects:
            (gc.enable if self._collects else gc.disable)()


class _Once:
    def __init__(self, work: Callable[[], object]) -> None:
        self._work: Callable[[], object] | None = work

    def __call__(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work()


def _find_unshare() -> Callable[[int], int] | None:
    """Return `unshare`, which gives a thread a working directory of its own without privileges.

    Where it is refused, as by the default profile of a container runtime, threads go on sharing
    the process's.
    """
    if sys.platform != "linux":
        return None
    unshare: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "unshare", None)
    return unshare


def _open_folder() -> int | None:
    try:
        return os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
