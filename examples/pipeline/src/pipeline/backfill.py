"""Reports on days that are past: python -m pipeline.backfill 2026-11-01 2026-11-07."""

import sys
from collections.abc import Sequence
from datetime import date, timedelta

from failsoft.api import dispatch_job
from pipeline.jobs.days import Day, open_day


def backfill(first: date, last: date) -> list[str]:
    """Dispatch a job for each day, the last one included; a day that has one gets no other.

    Returns:
        The ids of the jobs.
    """
    days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
    return [dispatch_job(open_day, Day(day=day), job_id=f"open-{day}").id for day in days]


def main(words: Sequence[str]) -> int:
    """Read the days of the command line, and print the jobs."""
    days = [date.fromisoformat(word) for word in words]
    sys.stdout.writelines(f"{job_id}\n" for job_id in backfill(days[0], days[-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
