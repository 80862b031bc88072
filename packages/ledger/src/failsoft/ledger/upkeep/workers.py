"""Which workers are alive, by heartbeats on the database's clock."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Delete, bindparam, delete, insert, select, update

from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.ports.measures import Batch
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.ledger.database.compiled import execute, read
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.tables import workers
from failsoft.ledger.transitions import measures
from failsoft.ledger.upkeep import clock_repair

_IDENTITY = ("boot_id", "engine", "queue", "host", "pid", "slots", "machine", "birth")
_ALIVE: dict[str, Any] = {
    "info": bindparam("info", type_=workers.c.info.type),
    "seen_at": now_us(),
    "live_until": now_us() + bindparam("ttl", type_=workers.c.live_until.type),
}
_INSERT = insert(workers).values(
    {name: bindparam(name) for name in _IDENTITY} | {"started_at": now_us()} | _ALIVE
)
_UPDATE = update(workers).where(workers.c.boot_id == bindparam("boot")).values(_ALIVE)
_IS_AHEAD = (workers.c.seen_at > now_us() + microseconds(SLACK)).label("is_ahead")
_LIVE = (
    select(*workers.c, _IS_AHEAD)
    .where(workers.c.live_until > now_us())
    .order_by(workers.c.started_at)
)
_NOT_DEAD = (
    select(*workers.c)
    .where(workers.c.machine == bindparam("machine"), workers.c.died_at.is_(None))
    .order_by(workers.c.started_at)
)
#: Alive no longer than its last beat: marked by a clock that is set back later, it would be alive
#: until that time comes again.
_GONE = {"died_at": now_us(), "live_until": workers.c.seen_at}
_FORGET_AFTER = timedelta(hours=1)


class SqlWorkers(SqlRole):
    """`WorkerLedger` on SQL."""

    def beat(self, worker: WorkerRecord, ttl: timedelta, measured: Batch | None = None) -> None:
        """Record that a worker process lives, for `ttl` from now, and what it has counted."""

        def work(connection: Connection) -> None:
            alive = {"ttl": microseconds(ttl), "info": rows.worker_info(worker.info)}
            if execute(connection, _UPDATE, alive | {"boot": worker.boot_id}).rowcount == 0:
                connection.execute(_INSERT, alive | _identity(worker))
                connection.execute(_forget_the_dead())
            if measured is not None:
                measures.add(connection, measured)

        self._database.write(work)

    def retire(self, boot_id: str) -> None:
        """Forget a worker that stops."""
        self._database.write(
            lambda c: c.execute(delete(workers).where(workers.c.boot_id == boot_id))
        )

    def live_workers(self) -> Sequence[WorkerRecord]:
        """Return the workers whose last beat is fresh.

        A beat from ahead of the clock says nothing of how old it is: it is taken for as old as
        the first look that finds it.
        """
        found = self._database.ask(lambda c: read(c, _LIVE))
        if any(row.is_ahead for row in found):
            self._database.write(clock_repair.mend_beats)
            found = self._database.ask(lambda c: read(c, _LIVE))
        return [rows.worker_record(row) for row in found]

    def mark_dead(self, worker: WorkerRecord) -> None:
        """Mark a worker process as dead, also one that never beat."""

        def work(connection: Connection) -> None:
            dead = insert_into(connection.dialect.name, workers).values(
                {name: bindparam(name) for name in _IDENTITY}
                | dict.fromkeys(("started_at", "seen_at", "died_at", "live_until"), now_us())
            )
            # The first mark stays: what was claimed after it was claimed by a living process.
            marked = dead.on_conflict_do_update(
                index_elements=[workers.c.boot_id], set_=_GONE, where=workers.c.died_at.is_(None)
            )
            connection.execute(marked, _identity(worker))

        self._database.write(work)

    def workers_on(self, machine: str) -> Sequence[WorkerRecord]:
        """Return the workers of a machine that are not marked as dead, however old their beat."""
        found = self._database.ask(lambda c: read(c, _NOT_DEAD, {"machine": machine}))
        return [rows.worker_record(row) for row in found]


def _identity(worker: WorkerRecord) -> dict[str, Any]:
    return {name: getattr(worker, name) for name in _IDENTITY}


def _forget_the_dead() -> Delete:
    return delete(workers).where(workers.c.live_until < now_us() - microseconds(_FORGET_AFTER))
