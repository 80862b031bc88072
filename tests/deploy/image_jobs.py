"""The job that is carried out inside the image."""

from pydantic import BaseModel

from failsoft.api import JobContext, job


class Sum(BaseModel):
    """Numbers to be added up."""

    numbers: list[int]


@job(name="add")
def add(payload: Sum, ctx: JobContext) -> int:
    """Add them up, in a step."""
    return ctx.run("add", sum, payload.numbers)
