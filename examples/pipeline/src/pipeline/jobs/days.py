"""A day: a job for each store, side by side, and one for what they come to."""

from datetime import date, timedelta

from pydantic import BaseModel

from failsoft.api import (
    Concurrency,
    Cron,
    GroupResult,
    JobContext,
    JobState,
    Link,
    RateLimit,
    RetryPolicy,
    default_dispatcher,
    dispatch_chain,
    dispatch_group,
    job,
)
from pipeline import files
from pipeline.jobs.reports import DaySums, Report, publish, render
from pipeline.sales import Sums, added, summed


class Day(BaseModel):
    """A day that is to be reported on.

    Attributes:
        day: The day; yesterday where None.
    """

    day: date | None = None


class Delivery(BaseModel):
    """What a store has delivered of a day.

    Attributes:
        day: The day.
        store: The store.
    """

    day: date
    store: str


class Delivered(BaseModel):
    """The deliveries of a day, once each has been read or given up.

    Attributes:
        day: The day.
        stores: The stores, in the order of their jobs.
        group: How the jobs of the stores ended; put in when the last of them has.
    """

    day: date
    stores: list[str]
    group: GroupResult | None = None


@job(
    queue="default",
    retry=RetryPolicy(max_attempts=3),
    # The disk that deliveries come on bears two readers, and a store three files a minute.
    concurrency=Concurrency(limit=2),
    rate_limit=RateLimit(limit=3, period=timedelta(minutes=1), by=("store",)),
)
def read_delivery(payload: Delivery, ctx: JobContext) -> Sums:
    """Return the sums of what a store has sold in a day."""
    return ctx.run("read", _read, payload.day, payload.store)


@job(queue="default")
def close_day(payload: Delivered, ctx: JobContext) -> str:
    """Add up what the stores have sold, and have a report made of it; return the chain's id."""
    read: list[Sums | None] = ctx.run("collect", _collected, payload)
    missing = [store for store, sums in zip(payload.stores, read, strict=True) if sums is None]
    sums = added(each for each in read if each is not None)
    day_sums = DaySums(day=payload.day, sums=sums, missing=missing)
    return ctx.run("report", _report, day_sums)


@job(queue="default", schedule=Cron("15 2 * * *", tz="UTC"))
def open_day(payload: Day, ctx: JobContext) -> str:
    """Start a job for each store that has delivered, each night of the day before.

    Returns:
        The id of their group.
    """
    day = payload.day or ctx.now().date() - timedelta(days=1)
    stores: list[str] = ctx.run("stores", files.stores, day)
    # The id makes it one group, however often this step is cut off and run again.
    return ctx.run("start", _start, day, stores)


def _start(day: date, stores: list[str]) -> str:
    links = [Link(read_delivery, Delivery(day=day, store=store)) for store in stores]
    over = Link(close_day, Delivered(day=day, stores=stores), result_field="group")
    return dispatch_group(links, over, group_id=f"day-{day}").id


def _read(day: date, store: str) -> Sums:
    return summed(files.lines(day, store))


def _collected(payload: Delivered) -> list[Sums | None]:
    jobs = () if payload.group is None else payload.group.job_ids
    handles = [default_dispatcher().handle(read_delivery, job_id) for job_id in jobs]
    return [
        handle.result() if handle.status() is JobState.SUCCEEDED else None for handle in handles
    ]


def _report(sums: DaySums) -> str:
    chain = dispatch_chain(
        Link(render, sums),
        Link(publish, Report(day=sums.day), result_field="text"),
        chain_id=f"report-{sums.day}",
    )
    return chain.last.id
