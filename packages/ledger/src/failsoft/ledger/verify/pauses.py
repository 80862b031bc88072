"""What is paused, beside the attempts of its jobs."""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, or_, select

from failsoft.job_engine.invariants import Violation, is_unsure
from failsoft.job_engine.invariants import pauses as pauses_invariants
from failsoft.ledger.roles.pauses import record
from failsoft.ledger.schema.conditions import COVERS
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, pauses
from failsoft.ledger.upkeep.clock_doubt import spans
from failsoft.ledger.verify.streams import stream

_BEGUN = (
    select(attempts.c.job_id, attempts.c.epoch, attempts.c.started_at, *pauses.c)
    .select_from(pauses.join(attempts, attempts.c.started_at > pauses.c.since).join(jobs))
    .where(or_(COVERS, and_(pauses.c.kind == "engine", pauses.c.name == attempts.c.engine)))
)


def begun_meanwhile(connection: Connection) -> Iterator[Violation]:
    """Find attempts that began although their queue, definition or engine was paused."""
    unsure = spans(connection)
    for row in stream(connection, _BEGUN):
        if is_unsure(row.started_at, unsure) or is_unsure(row.since, unsure):
            continue
        begun = pauses_invariants.Begun(row.job_id, row.epoch, row.started_at, record(row))
        yield from pauses_invariants.begun_in_a_pause(begun)
