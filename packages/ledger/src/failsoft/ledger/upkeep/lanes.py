"""The engines and queues in which offers wait, each found by one look into an index.

A query for all of them at once would go through every offer.
"""

from collections.abc import Iterator

from sqlalchemy import bindparam, select, tuple_

from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyConnection, execute
from failsoft.ledger.schema.jobs import in_state, jobs

_NEXT = (
    select(jobs.c.engine, jobs.c.queue)
    .where(
        in_state(JobState.OFFERED),
        tuple_(jobs.c.engine, jobs.c.queue) > tuple_(bindparam("engine"), bindparam("queue")),
    )
    .order_by(jobs.c.engine, jobs.c.queue)
    .limit(1)
)


def lanes(connection: AnyConnection) -> Iterator[tuple[str, str]]:
    """Find each engine with each queue in which an offer of it waits."""
    after = {"engine": "", "queue": ""}
    while found := execute(connection, _NEXT, after).one_or_none():
        after = {"engine": found.engine, "queue": found.queue}
        yield found.engine, found.queue
