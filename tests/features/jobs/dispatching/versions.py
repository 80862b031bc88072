"""A job whose payload has changed since."""

from typing import Any

from pydantic import BaseModel

from failsoft.job_engine import JobContext, job
from tests.features.queues import QUEUE


class Letter(BaseModel):
    """A letter as it is now."""

    street: str
    city: str


@job(name="versions-letter", queue=QUEUE.name, version=2)
def versions_letter(payload: Letter, ctx: JobContext) -> str:
    """Return the address."""
    return f"{payload.street} in {payload.city}"


@versions_letter.upgrade(from_version=1)
def split(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload with the city on its own."""
    street, city = payload["address"].split(", ")
    return {"street": street, "city": city}
