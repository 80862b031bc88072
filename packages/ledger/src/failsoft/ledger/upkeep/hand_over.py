"""The offers that wait at an engine, and their move to another one."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import BigInteger, bindparam, select

from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyConnection, AnyRow, execute, read
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import in_state, jobs
from failsoft.ledger.schema.tables import attempts
from failsoft.ledger.transitions import hand_over
from failsoft.ledger.upkeep import reach as reachable
from failsoft.ledger.upkeep.lanes import lanes

_OF_LANE = (
    select(*jobs.c)
    .where(
        in_state(JobState.OFFERED),
        jobs.c.engine == bindparam("engine"),
        jobs.c.queue == bindparam("queue"),
    )
    .order_by(jobs.c.pickup_by)
    .limit(bindparam("limit"))
)
_BEGUN = (
    select(attempts.c.job_id)
    .join(jobs, (jobs.c.id == attempts.c.job_id) & (jobs.c.epoch == attempts.c.epoch))
    .where(
        jobs.c.state == JobState.RUNNING,
        attempts.c.engine == bindparam("engine"),
        attempts.c.started_at > now_us() - bindparam("within", type_=BigInteger),
    )
    .limit(1)
)


class SqlHandOver(SqlRole):
    """`HandOverLedger` on SQL."""

    def oldest_offers(self) -> Sequence[JobRecord]:
        """Return the offer of each engine and queue whose pickup deadline comes first."""

        def work(connection: AnyConnection) -> list[AnyRow]:
            found = list(lanes(connection))
            given = ({"engine": engine, "queue": queue, "limit": 1} for engine, queue in found)
            return [row for each in given for row in read(connection, _OF_LANE, each)]

        return [rows.job_record(row) for row in self._database.ask(work)]

    def begun_lately(self, engine: str, within: timedelta) -> bool:
        """Return whether an attempt runs that claimed an offer to the engine so shortly ago."""
        given = {"engine": engine, "within": microseconds(within)}
        return bool(self._database.ask(lambda c: execute(c, _BEGUN, given).rows))

    def movable(
        self, engine: str, queue: str, limit: int, *, to: Collection[str], handoffs_below: int
    ) -> Sequence[JobRecord]:
        """Return offers that another engine may get, whether their deadline has passed or not."""
        statement = _OF_LANE.where(
            reachable.may_offer(Reach(frozenset(to))), jobs.c.handoffs < handoffs_below
        )
        given = {"engine": engine, "queue": queue, "limit": limit}
        found = self._database.read(lambda c: c.execute(statement, given).all())
        return [rows.job_record(row) for row in found]

    def offer_many(self, seen: Sequence[JobRecord], plan: OfferPlan) -> Sequence[JobRecord]:
        """Hand over offered jobs with a new epoch each, in one commit."""
        if not seen:
            return ()
        moved = self._database.write(
            lambda c: hand_over.reoffer_many(c, seen, plan, self._actor), "move"
        )
        changed = {row.id: row for row in moved}
        return [rows.handed_over(job, changed[job.id]) for job in seen if job.id in changed]
