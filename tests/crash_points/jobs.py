"""The job of the matrix: it is tried again soon where it raises, and every step has a witness."""

from tenacity import wait_fixed

from tests.integration.acceptance.jobs_under_test import Act, perform
from understudy.job_engine import RetryPolicy, job

SOON = RetryPolicy(max_attempts=10, wait=wait_fixed(0.1))

crossing = job(name="crossing", queue="threads", retry=SOON)(perform)
waiting = job(name="waiting", queue="narrow", retry=SOON)(perform)

__all__ = ["Act", "crossing", "waiting"]
