"""A place in the order in which jobs ended."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, or_, true

from failsoft.ledger.schema.jobs import jobs


class Place(NamedTuple):
    """The place of a job among those that have ended.

    Attributes:
        finished_at: When it ended.
        id: Its id, which decides among jobs that ended at the same moment.
    """

    finished_at: datetime
    id: str


def beyond(place: Place | None) -> ColumnElement[bool]:
    """Say which jobs ended after a place; all of them where there is none."""
    if place is None:
        return true()
    # The first of the two alone is what an index can begin with.
    return and_(
        jobs.c.finished_at >= place.finished_at,
        or_(jobs.c.finished_at > place.finished_at, jobs.c.id > place.id),
    )
