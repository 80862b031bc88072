"""Remembered keys, beside the jobs that are there (I10)."""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, or_, select

from failsoft.job_engine.invariants import Violation, remembered_otherwise
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import keys
from failsoft.ledger.transitions.remembered_keys import OF_IDS
from failsoft.ledger.verify.streams import stream

_SAME_KEY = and_(keys.c.scope == jobs.c.name, keys.c.key == jobs.c.idempotency_key)
_SAME_ID = and_(keys.c.scope == OF_IDS, keys.c.key == jobs.c.id)
#: Jobs that were made under a key while that stood for another job.
_MADE_AGAIN = (
    select(jobs.c.id, jobs.c.name, keys.c.key, keys.c.job_id, keys.c.created_at)
    .join_from(keys, jobs, or_(_SAME_KEY, _SAME_ID))
    .where(
        jobs.c.created_at < keys.c.expires_at,
        or_(keys.c.job_id != jobs.c.id, keys.c.created_at != jobs.c.created_at),
    )
    .order_by(jobs.c.id)
)


def given_twice(connection: Connection) -> Iterator[Violation]:
    """Find jobs that were made under a key that stood for another one, which was pruned."""
    for row in stream(connection, _MADE_AGAIN):
        yield remembered_otherwise(row.id, row.name, row.key, row.job_id)
