"""The ledger as an engine without a broker needs it: its rows are the messages."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select

from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.database import Database
from failsoft.ledger.schema.jobs import jobs

_OFFERS = (
    jobs.c.state == JobState.OFFERED,
    jobs.c.engine == bindparam("engine"),
    jobs.c.queue == bindparam("queue"),
)
_FIRST = (
    select(jobs.c.id, jobs.c.epoch)
    .where(*_OFFERS)
    .order_by(jobs.c.priority.desc(), jobs.c.pickup_by)
    .limit(bindparam("most"))
)
_COUNT = select(func.count()).select_from(jobs).where(*_OFFERS)


class SqlOffered:
    """`OfferedLedger` on SQL."""

    _database: Database

    def offered(self, engine: str, queue: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return the job ids and epochs of an engine's offers, the most urgent first."""
        wanted = {"engine": engine, "queue": queue, "most": limit}
        rows = self._database.read(lambda c: c.execute(_FIRST, wanted).all())
        return [(row.id, row.epoch) for row in rows]

    def count_offered(self, engine: str, queue: str) -> int:
        """Return how many offers of an engine wait in a queue."""
        wanted = {"engine": engine, "queue": queue}
        return int(self._database.read(lambda c: c.execute(_COUNT, wanted).scalar_one()))
