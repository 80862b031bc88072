"""The jobs of the crash-point matrix: they are tried again soon where they raise.

To import this module arms the process: a job that crashed before, at another cell's point, runs in
a child process, and must reach its own point there.
"""

import os
from pathlib import Path

from tenacity import wait_fixed

from failsoft.job_engine import RetryPolicy, job
from tests.crash_points.cells import FOLDER, arm
from tests.jobs.scripted import Script, perform

SOON = RetryPolicy(max_attempts=10, wait=wait_fixed(0.1))

crossing = job(name="crossing", queue="threads", retry=SOON)(perform)
waiting = job(name="waiting", queue="narrow", retry=SOON)(perform)

if folder := os.environ.get(FOLDER):
    arm(Path(folder))

__all__ = ["Script", "crossing", "waiting"]
