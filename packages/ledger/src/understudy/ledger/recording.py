"""Recording jobs, each once: by its id, its idempotency key and its unique key (I10)."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, bindparam, or_, select, text, update

from understudy.job_engine.identity import UniqueKey, UniqueScope
from understudy.job_engine.records import JobRecord
from understudy.job_engine.requests import NewJob, OfferPlan
from understudy.ledger import remembering, rows, transitions
from understudy.ledger.database import Database
from understudy.ledger.instants import now_us
from understudy.ledger.job_table import UNIQUE_HELD, jobs
from understudy.ledger.precedence import lock_many, order_of
from understudy.ledger.prepared import AnyRow
from understudy.ledger.replicated import expect_replicated

_BY_ID = select(*jobs.c).where(jobs.c.id == bindparam("job"))
_BY_KEY = select(*jobs.c).where(
    jobs.c.name == bindparam("name"), jobs.c.idempotency_key == bindparam("key")
)
_OF_UNIQUE_KEY = and_(
    jobs.c.name == bindparam("at_name"), jobs.c.unique_key == bindparam("at_key"), text(UNIQUE_HELD)
)
_OVER = and_(jobs.c.unique_scope == UniqueScope.PERIOD, jobs.c.unique_until <= now_us())
_BY_UNIQUE_KEY = select(*jobs.c).where(
    _OF_UNIQUE_KEY, or_(jobs.c.unique_until.is_(None), jobs.c.unique_until > now_us())
)
#: Take the key from the job whose period is over: from then on it blocks nobody.
_FREE_UNIQUE_KEY = update(jobs).where(_OF_UNIQUE_KEY, _OVER).values(unique_key=None)


class SqlRecording:
    """`record_job` on SQL; it may be repeated after a lost reply (F22)."""

    def __init__(self, database: Database, actor: str) -> None:
        """Work on a database in the name of `actor`, which the events keep."""
        self._database = database
        self._actor = actor

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in one commit, already offered if there is a plan (rules 1 and 3)."""
        new = self._database.write_at_once(
            lambda c: transitions.insert_job(c, job, plan, self._actor), "dispatch"
        )
        if new is not None:
            return new, True

        def work(connection: Connection) -> tuple[JobRecord, bool]:
            found, is_new = record(connection, job, plan, self._actor)
            if not is_new:
                expect_replicated(connection)
            return found, is_new

        return self._database.write(work, "dispatch")

    def record_jobs(
        self, jobs: Sequence[tuple[NewJob, OfferPlan | None]]
    ) -> Sequence[tuple[JobRecord, bool]]:
        """Record many jobs in one commit, or none of them."""

        def work(connection: Connection) -> list[tuple[JobRecord, bool]]:
            lock_many(connection, given)
            found = {n: record(connection, *jobs[n], self._actor) for n in order}
            if not all(is_new for _, is_new in found.values()):
                expect_replicated(connection)
            return [found[n] for n in range(len(jobs))]

        given = [job for job, _ in jobs]
        order = order_of(given)
        return self._database.write(work, "dispatch", self._database.at_length)


def record(
    connection: Connection, job: NewJob, plan: OfferPlan | None, actor: str
) -> tuple[JobRecord, bool]:
    """Record a job, or find the one that stands in its way.

    An index decides, and not a look before. Each turn that finds nobody in the way lost to a job
    that has ended or begun since, and goes on without it.
    """
    while True:
        new = transitions.insert_job(connection, job, plan, actor)
        if new is not None:
            return new, True
        known = _in_the_way(connection, job)
        if known is not None:
            return known, False


def _in_the_way(connection: Connection, job: NewJob) -> JobRecord | None:
    known = connection.execute(_BY_ID, {"job": job.id}).one_or_none()
    if known is None and job.idempotency_key is not None:
        key = {"name": job.name, "key": job.idempotency_key}
        known = connection.execute(_BY_KEY, key).one_or_none()
    if known is None and job.key_for is not None:
        pruned = remembering.find(connection, job)
        if pruned is not None:
            return pruned
    if known is None and job.unique is not None:
        known = holder_of(connection, job.name, job.unique)
    return None if known is None else rows.job_record(known)


def holder_of(connection: Connection, name: str, unique: UniqueKey) -> AnyRow | None:
    """Find the job that holds a unique key; whose period is over holds it no more."""
    held = {"at_name": name, "at_key": unique.key}
    holder = connection.execute(_BY_UNIQUE_KEY, held).one_or_none()
    if holder is None:
        connection.execute(_FREE_UNIQUE_KEY, held)
    return holder
