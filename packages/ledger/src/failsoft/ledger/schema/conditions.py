"""Conditions on rows that several layers share."""

from sqlalchemy import and_, exists, or_
from sqlalchemy.sql.elements import ColumnElement

from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import pauses

#: Whether a row of `pauses` is about a row of `jobs`.
COVERS: ColumnElement[bool] = or_(
    and_(pauses.c.kind == "queue", pauses.c.name == jobs.c.queue),
    and_(pauses.c.kind == "job", pauses.c.name == jobs.c.name),
)
#: Whether a row of `jobs` may not begin; nearly always an empty table to look at.
IS_PAUSED: ColumnElement[bool] = exists().where(COVERS)
#: Whether a row of `jobs` may not be claimed: its engine may be paused, too.
IS_HELD_BACK: ColumnElement[bool] = exists().where(
    or_(COVERS, and_(pauses.c.kind == "engine", pauses.c.name == jobs.c.engine))
)
