"""The ledger as an engine without a broker needs it: its rows are the messages.

The claim decides about each as about any message (rule 6). What is kept besides, `taken_until`,
only spares the workers of a queue from claiming the same job: losing it costs a claim that is
refused.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, exists, func, literal_column, or_, select, update

from failsoft.job_engine.ports.offered import MOST_COUNTED, TAKEN, OfferWatch
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.call_limit import CallLimit
from failsoft.ledger.database.compiled import AnyRow, AnySelect, execute
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.conditions import IS_PAUSED
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import info, pauses

_TAKEN = microseconds(TAKEN)
_OFFERS = (
    # No parameter: a plan for every value of one could not use the index of what is offered.
    jobs.c.state == literal_column(f"'{JobState.OFFERED}'"),
    jobs.c.engine == bindparam("engine"),
    jobs.c.queue == bindparam("queue"),
)
#: Looked at once, where `IS_PAUSED` is looked at for each job: all of a paused queue may wait.
_IS_QUEUE_PAUSED = exists().where(pauses.c.kind == "queue", pauses.c.name == bindparam("queue"))
_IS_FREE = or_(
    jobs.c.taken_until.is_(None),
    jobs.c.taken_until <= now_us(),
    # No worker has one for longer; this was written by a clock that was ahead.
    jobs.c.taken_until > now_us() + _TAKEN,
)
_FIRST = (
    select(jobs.c.id)
    .where(*_OFFERS, ~_IS_QUEUE_PAUSED, ~IS_PAUSED, _IS_FREE)
    .order_by(jobs.c.priority.desc(), jobs.c.created_at)
    .limit(bindparam("most"))
)
_SHOWN = (jobs.c.id, jobs.c.epoch, jobs.c.priority, jobs.c.created_at)
_COUNT = select(func.count().label("found")).select_from(
    select(jobs.c.id).where(*_OFFERS).limit(MOST_COUNTED).subquery()
)
_TOUCH = update(info).where(info.c.key == "ledger_id").values(value=info.c.value)
_NOTIFY = select(func.pg_notify(bindparam("channel"), "").label("done"))


def _taking(first: AnySelect, *more: Any) -> Any:
    return (
        update(jobs)
        .where(jobs.c.id.in_(first))
        .values(taken_until=now_us() + _TAKEN)
        .returning(*_SHOWN, *more)
    )


_TAKE_FROM_SQLITE = _taking(_FIRST)
#: One that another worker takes at this moment is passed over. No commit waits for the disk: what
#: a crash loses of it is no loss.
_TAKE = _taking(
    select(_FIRST.with_for_update(skip_locked=True).cte("first").c.id),
    func.set_config("synchronous_commit", "off", True).label("waits_for_disk"),
)


class SqlOffered(SqlRole):
    """`OfferedLedger` on SQL; every method may be repeated after a lost reply (F22)."""

    def take_offers(self, engine: str, queue: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return the job ids and epochs of an engine's offers that may begin now."""
        wanted = {"engine": engine, "queue": queue, "most": limit}
        is_sqlite = self._database.is_sqlite
        if is_sqlite and not self._database.ask(lambda c: execute(c, _FIRST, wanted).rows):
            # To look takes no lock, so that workers without work keep no writer waiting.
            return ()

        def take(raw: RawConnection) -> Sequence[AnyRow]:
            return execute(raw, _TAKE_FROM_SQLITE if is_sqlite else _TAKE, wanted).rows

        taken = self._database.write_one(take)
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
