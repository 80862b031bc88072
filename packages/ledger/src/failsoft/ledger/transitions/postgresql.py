"""Statements of PostgreSQL's that do at once what takes SQLite several in one transaction.

The first part changes the job's row, and every other part reads what that returned: nothing is
written unless the row was as it had to be, and it stays locked until all of it is committed
(rule 7). A part that looked at the row by itself would see it as it was before the lock, and
write in the name of an attempt that was replaced while it waited (R28).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    Integer,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from failsoft.job_engine.records.states import CLAIM, Transition
from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import aggregates, attempts, events, steps
from failsoft.ledger.transitions import counters, notices, statements

_AUTHORITY = statements.FENCE.returning(jobs.c.id).cte("authority")


@lru_cache
def insert_job(*, offered: bool, extras: frozenset[str]) -> AnySelect:
    """Insert a job with its first event; return its times."""
    job = statements.insert_job("postgresql", offered=offered, extras=extras).cte("job")
    return select(*job.c).add_cte(_event_of(job))


def _event_of(job: CTE, given: CTE | None = None) -> CTE:
    values = [_given("actor", events, given), _given("kind", events, given)]
    values.append(_given("detail", events, given))
    happened = select(job.c.id, job.c.events, now_us(), *values, job.c.state, job.c.epoch)
    happened = happened.where(~job.c.is_packed)
    columns = ["job_id", "n", "at", "actor", "kind", "detail", "state", "epoch"]
    return insert(events).from_select(columns, _of_each(happened, job, given)).cte("event")


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
    if notices.kind_of(transition) is not None:
        done = done.add_cte(notices.of_job(job))
    return done.add_cte(_count_of(job)) if transition.target.is_terminal else done


@lru_cache
def change_many(
    transition: Transition, guard: frozenset[str], values: frozenset[str], spans: frozenset[str]
) -> AnySelect:
    """Make one transition of each of several jobs, as `change` does of one; return what changed.

    Each has a fence of its own: a job that is not as it was seen is left out, and changes nothing
    of the others. So is one that another transaction has locked: no job waits for another's.
    """
    types = dict(statements.given_of(guard, values, spans))
    types |= {name: events.c[name].type for name in ("actor", "kind", "detail")}
    given = _given_rows(types)
    unlocked = _unlocked(given)

    def of_given(name: str, **_: object) -> ColumnElement[Any]:
        return given.c[name]

    changed = statements.compare_and_set_with(of_given, transition, guard, values, spans=spans)
    job = changed.where(jobs.c.id == unlocked.c.id).cte("job")
    done = select(*job.c).add_cte(_event_of(job, given))
    if transition is CLAIM:
        return done.add_cte(_attempt_of(job, given))
    of_jobs = (attempts.c.job_id == job.c.id, attempts.c.epoch == job.c.epoch)
    ended = update(attempts).where(*of_jobs).values(ended_at=now_us(), outcome=transition.name)
    done = done.add_cte(ended.cte("attempt"))
    return done.add_cte(_count_of_all(job)) if transition.target.is_terminal else done


def _given_rows(types: Mapping[str, TypeEngine[Any]]) -> CTE:
    """Return rows of values out of one parameter, a JSON array of objects.

    Both limits are how many there are. A plan for any number of them takes each limit for a tenth
    of the rows, and so for few rows: it finds the jobs by their primary key, also where the table
    was empty when the plan was made.
    """
    columns = [column(name, type_) for name, type_ in types.items()]
    rows = func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    shown = rows.table_valued(*columns, name="shown").render_derived(with_types=True)
    most = bindparam("most", type_=Integer)
    few = select(*shown.c).limit(most).subquery("few")
    return select(*few.c).limit(most).cte("given")


def _unlocked(given: CTE) -> CTE:
    """Lock the jobs that no other transaction has locked."""
    wanted = select(jobs.c.id).where(jobs.c.id.in_(select(given.c.at_id)))
    return wanted.with_for_update(skip_locked=True).cte("unlocked")


def _given(name: str, table: Table, given: CTE | None) -> ColumnElement[Any]:
    return bindparam(name, type_=table.c[name].type) if given is None else given.c[name]


def _of_each(found: AnySelect, job: CTE, given: CTE | None) -> AnySelect:
    return found if given is None else found.where(given.c.at_id == job.c.id)


def _attempt_of(job: CTE, given: CTE | None = None) -> CTE:
    actor = bindparam("actor", type_=attempts.c.worker.type) if given is None else given.c.actor
    begun = select(job.c.id, job.c.epoch, job.c.claim_id, job.c.engine, actor, now_us())
    columns = ["job_id", "epoch", "claim_id", "engine", "worker", "started_at"]
    return insert(attempts).from_select(columns, _of_each(begun, job, given)).cte("attempt")


def _count_of(job: CTE) -> CTE:
    engine = func.coalesce(job.c.engine, "")
    shard = bindparam("to_shard", type_=aggregates.c.shard.type)
    ended = select(job.c.name, job.c.queue, engine, job.c.state, shard, literal(1))
    return counters.count_end("postgresql", ended).cte("count")


def _count_of_all(job: CTE) -> CTE:
    shard = bindparam("to_shard", type_=aggregates.c.shard.type)
    counted = (job.c.name, job.c.queue, func.coalesce(job.c.engine, ""), job.c.state)
    ended = select(*counted, shard, func.count())
    # In one order everywhere, so that no two transactions wait for each other.
    ended = ended.group_by(*counted).order_by(*counted)
    return counters.count_ends(ended).cte("count")


def _record_step() -> Insert:
    given = ("name", "seq", "kind", "result", "epoch", "elapsed_us")
    values = [bindparam(name, type_=steps.c[name].type) for name in given]
    done = select(_AUTHORITY.c.id, *values, now_us())
    columns = ["job_id", *given, "recorded_at"]
    return insert(steps).from_select(columns, done).on_conflict_do_nothing()


def _record_steps() -> AnySelect:
    names = ("name", "seq", "kind", "result", "epoch", "elapsed_us")
    seen = {f"at_{name}": jobs.c[name].type for name in ("id", "epoch", "claim_id")}
    given = _given_rows(seen | {name: steps.c[name].type for name in names})
    unlocked = _unlocked(given)
    fence = statements.fence_with(lambda name: given.c[name]).where(jobs.c.id == unlocked.c.id)
    authority = fence.returning(jobs.c.id).cte("authority")
    done = select(authority.c.id, *(given.c[name] for name in names), now_us())
    done = done.where(given.c.at_id == authority.c.id)
    insert_ = insert(steps).from_select(["job_id", *names, "recorded_at"], done)
    recorded = insert_.on_conflict_do_nothing().cte("recorded")
    return select(authority.c.id).add_cte(recorded)


#: The same of several attempts: those whose jobs are returned have the authority.
RECORD_STEPS = _record_steps()
#: The fence, and a finished step unless it is recorded (rules 7 and 9).
RECORD_STEP = _record_step()
#: The fence, and the result of a `once` step in the place of its intent (rules 7 and 10).
SETTLE_STEP = statements.settle_step(_AUTHORITY.c.id)
