"""From the sums of the stores to a report: the two jobs of a chain."""

from datetime import date

from pydantic import BaseModel

from failsoft.api import JobContext, job
from pipeline.files import write_report
from pipeline.sales import Sums, as_report


class DaySums(BaseModel):
    """What was sold on a day.

    Attributes:
        day: The day.
        sums: Of all stores.
        missing: The stores whose delivery could not be read.
    """

    day: date
    sums: Sums
    missing: list[str]


class Report(BaseModel):
    """A report that is to be written.

    Attributes:
        day: The day that it is of.
        text: What is in it; the job before it in the chain returns that.
    """

    day: date
    text: str = ""


@job(queue="default")
def render(payload: DaySums, ctx: JobContext) -> str:
    """Return the report of a day."""
    return ctx.run("render", as_report, payload.day, payload.sums, payload.missing)


@job(queue="default")
def publish(payload: Report, ctx: JobContext) -> str:
    """Write a report to where people look, and return its name."""
    return ctx.run("write", write_report, payload.day, payload.text)
