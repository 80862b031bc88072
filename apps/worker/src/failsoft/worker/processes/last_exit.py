"""The end of a process that comes whatever its threads wait for."""

import os
import threading

#: How long a process may take to give its jobs back when there is no grace left, in seconds.
HASTE_SECONDS = 2.0


def exit_within(seconds: float, status: int = 0) -> None:
    """End this process after so many seconds unless it has ended by then.

    A thread may wait for a database that answers nothing, or for a disk that no signal ends the
    wait for. What it wanted to write is what a killed process would have left undone, too: leases
    run out, and rescuers find the jobs (I1).
    """
    timer = threading.Timer(seconds, os._exit, (status,))
    timer.daemon = True
    timer.start()
