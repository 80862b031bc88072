"""Scheduled jobs, one for each engine; their tests decide when they are due."""

from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine import Cron, Every, JobContext, declare_job
from tests.features.queues import QUEUE


class Report(BaseModel):
    """What the schedule says that the job is to work on."""

    topic: str = "nothing"


def _report(payload: Report, ctx: JobContext) -> str:
    return f"report on {payload.topic}"


HOURLY = {
    engine: declare_job(
        f"schedules-hourly-{engine}",
        payload=Report,
        result=str,
        queue=QUEUE.name,
        engines=(engine,),
        schedule=Every(timedelta(hours=1), missed="all", payload=Report(topic=engine)),
    ).bind(_report)
    for engine in ("rq", "dramatiq")
}
hourly_rq, hourly_dramatiq = HOURLY["rq"], HOURLY["dramatiq"]

NIGHTLY = {
    engine: declare_job(
        f"schedules-nightly-{engine}",
        payload=Report,
        result=str,
        queue=QUEUE.name,
        engines=(engine,),
        schedule=Cron("30 2 * * *", tz="Europe/Madrid"),
    ).bind(_report)
    for engine in ("rq", "dramatiq")
}
nightly_rq, nightly_dramatiq = NIGHTLY["rq"], NIGHTLY["dramatiq"]

#: Paused from the start, lest they tick through the whole session.
SECONDLY = {
    engine: declare_job(
        f"schedules-secondly-{engine}",
        payload=Report,
        result=str,
        queue=QUEUE.name,
        engines=(engine,),
        schedule=Every(timedelta(seconds=1), missed="skip"),
    ).bind(_report)
    for engine in ("rq", "dramatiq")
}
secondly_rq, secondly_dramatiq = SECONDLY["rq"], SECONDLY["dramatiq"]
