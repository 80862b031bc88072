"""What a fork has of an attempt: its code up to where the job's own ends, and no authority.

A child that `os.fork` makes inside a job has a copy of everything, the claim included. It may do
what it was made for; where the job's own code returns or raises, it ends, as it would in a program
of its own.
"""

import os
import sys
import threading
import traceback
from contextlib import suppress
from typing import NoReturn

from failsoft.job_engine.attempt.interrupts import Fenced

#: How long what was printed may take to be written when a process ends, in seconds.
FLUSH_SECONDS = 1.0

_STDERR = 2


class ForkedError(Fenced):
    """The attempt is another process's: this one is a fork of it, and may record nothing."""

    def __init__(self, process: int) -> None:
        super().__init__(
            f"expected a call from the attempt's own process {process}, got one from its fork "
            f"{os.getpid()}; use the job's context only where the job runs"
        )


def end_fork(error: BaseException | None) -> NoReturn:
    """End this process, a fork in which the job's own code is over.

    Args:
        error: What it raised, which is printed; a `SystemExit` decides the status.
    """
    status = _status(error)
    if status is None:
        status = 1
        _print(error)
    flush_standard_streams()
    os._exit(status)


def flush_standard_streams() -> None:
    """Write what was printed, unless it cannot be written in a moment."""
    # In a thread: a pipe that is not read blocks the writer.
    flushing = threading.Thread(target=_flush, name="failsoft-flush", daemon=True)
    flushing.start()
    flushing.join(FLUSH_SECONDS)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # It may be closed, replaced, full or absent.
        with suppress(Exception):
            stream.flush()


def _status(error: BaseException | None) -> int | None:
    """Return the exit status of what was raised, as Python has it; None for an error."""
    if error is None:
        return 0
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return (error.code or 0) & 0xFF
    return None


def _print(error: BaseException | None) -> None:
    # Not through `sys.stderr`, whose lock another thread may have held at the fork.
    with suppress(Exception):
        os.write(_STDERR, "".join(traceback.format_exception(error)).encode(errors="replace"))
