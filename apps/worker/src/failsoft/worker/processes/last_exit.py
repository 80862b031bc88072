"""The end of a process within a limit, whatever its threads wait for."""

import os
import threading

#: How long a process may take to give its jobs back when there is no grace left, in seconds.
HASTE_SECONDS = 2.0


def exit_within(seconds: float, status: int = 0) -> None:
    """End this process after a number of seconds unless it has ended by then.

    A thread may wait for a database that does not answer, or uninterruptibly for a disk. What it
    would have written is lost as in a killed process: leases expire, and rescuers find the jobs
    (I1).
    """
    timer = threading.Timer(seconds, os._exit, (status,))
    timer.daemon = True
    timer.start()
