"""An app in memory whose schedules are fired by any version of the code."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.job_engine import Every
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.policies.schedule import Schedule
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.schedules import ScheduleRecord
from tests.unit.support.attempts import define
from tests.unit.support.memory_app import MemoryApp

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)
HOURLY = Every(HOUR)


def scheduled(schedule: Schedule | None, name: str = "sweep", **options: Any) -> AnyDefinition:
    return define(lambda ctx: None, name=name, schedule=schedule, **options)


class CronApp(MemoryApp):
    """An app with crons of any version."""

    def cron(self, *definitions: AnyDefinition) -> CronScheduler:
        shared = {"clock": self.clock, "listener": self.events}
        return CronScheduler(self.ledger, definitions, **shared, rng=random.Random(7))

    @property
    def schedule(self) -> ScheduleRecord:
        return self.dispatcher.schedules().get("sweep")

    @property
    def jobs(self) -> list[JobRecord]:
        return sorted(self.ledger.list_jobs(name="sweep", limit=5000), key=lambda job: job.id)

    @property
    def ticks(self) -> list[str]:
        """When the jobs were to run, counted from the start."""
        start = datetime(2026, 1, 1, tzinfo=UTC)
        return [str((job.run_at or start) - start) for job in self.jobs]

    def pass_hours(self, hours: float, crons: Iterable[CronScheduler] = ()) -> None:
        """Let hours go by with a look every half minute."""
        for _ in range(int(hours * 120)):
            self.clock.advance(30 * SECOND)
            for each in crons:
                each.tick()
