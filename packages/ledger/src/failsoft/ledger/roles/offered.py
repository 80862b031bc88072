"""The ledger as an engine without a broker needs it: its rows are the messages."""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import bindparam, func, select, update

from failsoft.job_engine.ports.offered import MOST_COUNTED, OfferWatch
from failsoft.ledger.database.call_limit import CallLimit
from failsoft.ledger.database.compiled import execute
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import info
from failsoft.ledger.transitions import take

_COUNT = select(func.count().label("found")).select_from(
    select(jobs.c.id).where(*take.ARE_OFFERED).limit(MOST_COUNTED).subquery()
)
_TOUCH = update(info).where(info.c.key == "ledger_id").values(value=info.c.value)
_NOTIFY = select(func.pg_notify(bindparam("channel"), "").label("done"))


class SqlOffered(SqlRole):
    """`OfferedLedger` on SQL; every method may be repeated after a lost reply (F22)."""

    def take_offers(self, engine: str, queue: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return the job ids and epochs of an engine's offers that may begin now."""
        wanted = {"engine": engine, "queue": queue, "most": limit}
        is_sqlite = self._database.is_sqlite
        if is_sqlite and not self._database.ask(lambda c: execute(c, take.FIRST, wanted).rows):
            # To look takes no lock, so that workers without work keep no writer waiting.
            return ()
        taken = self._database.write_one(lambda raw: take.take(raw, wanted, on_sqlite=is_sqlite))
        in_order = sorted(taken, key=lambda row: (-row.priority, row.created_at))
        return [(row.id, row.epoch) for row in in_order]

    def count_offers(self, engine: str, queue: str) -> int:
        """Return how many offers of an engine wait in a queue, up to `MOST_COUNTED`."""
        wanted = {"engine": engine, "queue": queue}
        (row,) = self._database.ask(lambda c: execute(c, _COUNT, wanted).rows)
        return int(row.found)

    def expect_writable(self, within: timedelta) -> None:
        """Write something that changes nothing, in so much time."""
        limit = CallLimit(within.total_seconds())
        self._database.write(lambda c: c.execute(_TOUCH), limit=limit)

    def wake_workers(self, engine: str, queue: str, within: timedelta) -> None:
        """Notify those that listen; on SQLite they look by themselves."""
        if not self._database.is_sqlite:
            channel, limit = {"channel": _channel(engine, queue)}, CallLimit(within.total_seconds())
            self._database.write_one(lambda c: execute(c, _NOTIFY, channel), limit=limit)

    def watch_offers(self, engine: str, queue: str) -> OfferWatch:
        """Return what a worker of a queue waits with; opens no connection yet."""
        return self._database.watch(_channel(engine, queue))


def _channel(engine: str, queue: str) -> str:
    """Return the name of a channel: names of ours may be longer than PostgreSQL's may be."""
    return f"failsoft_{sha256(f'{engine}/{queue}'.encode()).hexdigest()[:32]}"
