"""Statements of PostgreSQL's that do at once what takes SQLite several in one transaction.

The first part changes the job's row, and every other part reads what that returned: nothing is
written unless the row was as it had to be, and it stays locked until all of it is committed
(rule 7). A part that looked at the row by itself would see it as it was before the lock, and
write in the name of an attempt that was replaced while it waited (R28).
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.dml import ReturningUpdate

from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import CLAIM, Transition
from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import aggregates, attempts, events, steps
from failsoft.ledger.transitions import counters, statements

_AUTHORITY = statements.FENCE.returning(jobs.c.id).cte("authority")


@lru_cache
def insert_job(*, offered: bool, extras: frozenset[str]) -> AnySelect:
    """Insert a job with its first event; return its times."""
    job = statements.insert_job("postgresql", offered=offered, extras=extras).cte("job")
    return select(*job.c).add_cte(_event_of(job))


def _event_of(job: CTE) -> CTE:
    given = [bindparam(name, type_=events.c[name].type) for name in ("actor", "kind", "detail")]
    happened = select(job.c.id, job.c.events, now_us(), *given, job.c.state, job.c.epoch)
    happened = happened.where(~job.c.is_packed)
    columns = ["job_id", "n", "at", "actor", "kind", "detail", "state", "epoch"]
    return insert(events).from_select(columns, happened).cte("event")


@lru_cache
def change(
    statement: ReturningUpdate[Any], transition: Transition, *, with_error: bool
) -> AnySelect:
    """Make a transition, write its event, note the attempt it begins or ends, count a job's end."""
    job = statement.cte("job")
    done = select(*job.c).add_cte(_event_of(job))
    if transition is CLAIM:
        done = done.add_cte(_attempt_of(job))
    elif transition.ends_attempt:
        end = statements.END_WITH_ERROR if with_error else statements.END_ATTEMPT
        ended = end.where(attempts.c.job_id == job.c.id)
        done = done.add_cte(ended.cte("attempt"))
    return done.add_cte(_count_of(job)) if transition.target.is_terminal else done


def _attempt_of(job: CTE) -> CTE:
    worker = bindparam("actor", type_=attempts.c.worker.type)
    begun = select(job.c.id, job.c.epoch, job.c.claim_id, job.c.engine, worker, now_us())
    columns = ["job_id", "epoch", "claim_id", "engine", "worker", "started_at"]
    return insert(attempts).from_select(columns, begun).cte("attempt")


def _count_of(job: CTE) -> CTE:
    engine = func.coalesce(job.c.engine, "")
    shard = bindparam("to_shard", type_=aggregates.c.shard.type)
    ended = select(job.c.name, job.c.queue, engine, job.c.state, shard, literal(1))
    return counters.count_end("postgresql", ended).cte("count")


def _record_step() -> Insert:
    given = ("name", "seq", "kind", "result", "epoch")
    values = [bindparam(name, type_=steps.c[name].type) for name in given]
    done = select(_AUTHORITY.c.id, *values, now_us())
    columns = ["job_id", *given, "recorded_at"]
    return insert(steps).from_select(columns, done).on_conflict_do_nothing()


#: The fence, and a finished step unless it is recorded (rules 7 and 9).
RECORD_STEP = _record_step()
#: The fence, and the result of a `once` step in the place of its intent (rules 7 and 10).
SETTLE_STEP = statements.replace_step(_AUTHORITY.c.id, StepKind.INTENT, StepKind.ONCE)
