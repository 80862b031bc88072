"""The jobs by which notices are told."""

from datetime import UTC, datetime

from failsoft.dispatcher.maintenance.notifier import Told
from failsoft.dispatcher.options.options import new_job
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.jobs.notifications.notification import Happening, Notification
from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.job_engine.records.new_job import NewJob


class Telegraph:
    """Makes a job of `send_notification` of what is to be told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def job(self, channel: str, told: Told) -> NewJob:
        """Return the job that tells it; not recorded yet."""
        payload = Notification(
            channel=channel,
            kind=told.kind,
            count=told.count,
            first_at=told.first_at,
            last_at=told.last_at,
            happenings=tuple(Happening.model_validate(dict(each)) for each in told.examples),
        )
        return new_job(send_notification, payload, {}, self._clock)

    def is_own(self, job: str | None) -> bool:
        """Return whether a job of that name is one that tells."""
        return job == send_notification.name


def trial(channel: str) -> Notification:
    """Return the notification by which a channel is tried."""
    now = datetime.now(UTC)
    shown = Happening(id="test", kind="test", at=now, reason="notifications arrive here")
    return Notification(
        channel=channel, kind="test", count=1, first_at=now, last_at=now, happenings=(shown,)
    )
