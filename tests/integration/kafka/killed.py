"""A process of ours that is killed at a crash point: its first argument, before the usual ones."""

import os
import signal
import sys

from failsoft.job_engine.crash_points import HOOKS
from failsoft.worker.process import main


def kill_at(point: str) -> None:
    if point == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    HOOKS.append(kill_at)
    main(sys.argv[2:])
