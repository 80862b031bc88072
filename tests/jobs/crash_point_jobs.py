"""The job of the matrix: it is tried again soon where it raises, and every step has an effect log.

Whoever of the crew imports it is armed by that: a job that crashed before, from another cell's
misfortune, runs in a child process, and must meet its own there.
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
