"""A process of ours that is killed at a crash point, which the environment names."""

import os
import signal

from failsoft.job_engine.crash_points import HOOKS
from failsoft.worker.process import main as run


def kill_at(point: str) -> None:
    if point == os.environ["_TEST_KILLED_AT"]:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    HOOKS.append(kill_at)
    run()


if __name__ == "__main__":
    main()
