"""A Celery app with a beat schedule; what is refused of it stands in `refused`."""

from datetime import timedelta
from typing import Any

from celery import Celery
from celery.schedules import crontab, schedule

from failsoft.adoption.celery import FailsoftTask

app = Celery("beat", broker="amqp://127.0.0.1:1//", task_cls=FailsoftTask)
done: list[tuple[object, ...]] = []


@app.task(name="beat.clean", bind=True)
def clean(self: Any, days: int, *, deep: bool = False) -> str:
    done.append((days, deep, self.request.retries))
    return f"cleaned {days}"


@app.task(name="beat.flaky", bind=True, max_retries=1)
def flaky(self: Any) -> None:
    done.append(("flaky", self.request.retries))
    raise self.retry(countdown=1)


class Sunset(schedule):
    """A schedule of another class than Celery's two, as its `solar` is."""


carried: dict[str, dict[str, Any]] = {
    "clean every 10 s": {"task": "beat.clean", "schedule": 10, "args": (3,)},
    "hourly": {
        "task": "beat.clean",
        "schedule": timedelta(hours=1),
        "kwargs": {"days": 1, "deep": True},
        "options": {"queue": "slow", "priority": 7},
    },
    "weekdays": {
        "task": "beat.clean",
        "schedule": crontab(minute="*/15", hour="8-10,20-23/2", day_of_week="mon-fri"),
        "args": [2],
    },
    "new-year": {
        "task": "beat.flaky",
        "schedule": crontab(minute=0, hour={0}, day_of_month=1, month_of_year="1"),
    },
    "interval": {"task": "beat.flaky", "schedule": schedule(timedelta(days=1))},
}
refused: dict[str, dict[str, Any]] = {
    "sunset": {"task": "beat.flaky", "schedule": Sunset(timedelta(days=1))},
    "object": {"task": "beat.clean", "schedule": 60, "args": (object(),)},
    "unknown": {"task": "beat.nowhere", "schedule": 60},
    "expires": {"task": "beat.flaky", "schedule": 60, "options": {"expires": 30}},
    "both days": {
        "task": "beat.flaky",
        "schedule": crontab(minute=0, hour=0, day_of_month=13, day_of_week="fri"),
    },
    "too often": {"task": "beat.flaky", "schedule": 0.2},
}
app.conf.update(
    beat_schedule=carried, timezone="Europe/Madrid", failsoft_queues={"slow": "data-sync"}
)
