"""Which ended jobs may be pruned: statements that are made once for each definition and state.

To make such a statement takes longer than a database takes to delete a job.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Delete,
    Integer,
    String,
    and_,
    any_,
    bindparam,
    delete,
    false,
    func,
    or_,
    select,
    type_coerce,
)

from failsoft.job_engine.policies.retention import IDEMPOTENCY_FOR, Retention
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.jobs import by_itself, jobs
from failsoft.ledger.schema.tables import groups
from failsoft.ledger.transitions import remembered_keys

S = TypeVar("S", AnySelect, Delete)

#: How many of the jobs that ended so a statement goes through, however many there are.
SPAN = 10_000


class Place(NamedTuple):
    """The place of a job among those that have ended.

    Attributes:
        at: When it ended, in microseconds since 1970.
        id: Its id, which decides among jobs that ended at the same moment.
    """

    at: int
    id: str


#: Before the first job, and after the last.
FIRST, LAST = Place(-(2**62), ""), Place(2**62, "")


@dataclass(frozen=True, slots=True)
class Kept:
    """The jobs of a name that ended so, and for how long they are kept."""

    name: str
    state: JobState
    retention: Retention

    def __post_init__(self) -> None:
        """Refuse a state that is none of an end."""
        if self.state not in TERMINAL:
            raise ValueError(f"expected a terminal state, got {self.state}")


class Statements(NamedTuple):
    """What is executed for the jobs of a definition that ended so.

    Attributes:
        newest: The place of the newest job that is one too many; takes `keep`.
        end: The last of the next `SPAN` jobs after a place.
        how_many: How many of a span may be pruned.
        following: The next jobs of a span, whether there is something to do for each, and whether
            that is to remember its key first; takes `limit`.
        delete: Deletes those of some `ids` that may be, if they end no later than a span.
    """

    newest: AnySelect
    end: AnySelect
    how_many: AnySelect
    following: AnySelect
    delete: Delete


_AT = type_coerce(jobs.c.finished_at, BigInteger)
_ORDER = (jobs.c.finished_at, jobs.c.id)
_LIMIT: BindParameter[int] = bindparam("limit")

#: The groups that were begun and not recorded to the end; nearly never any.
_UNSEALED = (
    select(groups.c.id)
    .where(~groups.c.sealed, groups.c.created_at >= now_us() - microseconds(IDEMPOTENCY_FOR))
    .order_by(groups.c.created_at.desc())
    .limit(100)
)


def span(after: Place = FIRST, upto: Place = LAST) -> Mapping[str, Any]:
    """Return the parameters of where statements begin and where they end."""
    places = {"after": after, "upto": upto}
    return {f"{name}_{part}": getattr(p, part) for name, p in places.items() for part in p._fields}


def without_unsealed(connection: Connection, statement: S) -> S:
    """Leave out the jobs of groups that are half recorded.

    A repeated dispatch of the group goes on with it, and would record them again.
    """
    found = connection.execute(_UNSEALED).scalars().all()
    theirs = [~jobs.c.id.startswith(f"{group}-", autoescape=True) for group in found]
    # Nearly always there are none, and the statement is one that was executed before.
    return statement.where(*theirs) if theirs else statement


@lru_cache
def statements(kept: Kept, settles: timedelta, *, is_sqlite: bool) -> Statements:
    """Make the statements for the jobs of a definition that ended so."""
    ended = (jobs.c.name == kept.name, jobs.c.state == kept.state, jobs.c.finished_at.is_not(None))
    # A plan that PostgreSQL makes once for all values reads and sorts all that have ended.
    given = partial(bindparam, literal_execute=not is_sqlite)
    after, upto = _beyond("after", given), ~_beyond("upto", given)
    settled = remembered_keys.has_settled(settles)
    may_go, place = _may_go(), select(jobs.c.id, _AT.label("at"))
    unremembered = remembered_keys.is_unremembered()
    # Columns and no conditions, by which PostgreSQL would expect too few rows.
    is_ready = and_(may_go, or_(settled, unremembered)).label("is_ready")
    newest_first = (jobs.c.finished_at.desc(), jobs.c.id.desc())
    # Found by their ids: the index of those that ended so has many more.
    named = (by_itself(jobs.c.name) == kept.name, by_itself(jobs.c.state) == kept.state)
    mine = (_is_among_ids(is_sqlite=is_sqlite), jobs.c.finished_at.is_not(None))
    return Statements(
        place.where(*ended).order_by(*newest_first).offset(given("keep", type_=Integer)).limit(1),
        place.where(*ended, after).order_by(*_ORDER).offset(SPAN - 1).limit(1),
        select(func.count()).select_from(jobs).where(*ended, after, upto, may_go),
        place.add_columns(is_ready, unremembered.label("is_unremembered"))
        .where(*ended, after, upto)
        .order_by(*_ORDER)
        .limit(_LIMIT),
        delete(jobs).where(*mine, *named, ~_beyond("upto", bindparam), may_go, settled),
    )


def _is_among_ids(*, is_sqlite: bool) -> ColumnElement[bool]:
    # One parameter, so that the statement is the same for any number of ids.
    if is_sqlite:
        each = func.json_each(bindparam("ids", type_=String)).table_valued("value")
        return jobs.c.id.in_(select(each.c.value))
    return jobs.c.id == any_(bindparam("ids", type_=ARRAY(String)))


def _may_go() -> ColumnElement[bool]:
    """Say on which of those that are kept no longer nothing relies."""
    # A job that still holds a unique key must be found by it.
    asked_for = or_(jobs.c.unique_until.is_(None), jobs.c.unique_until <= now_us())
    retried, parent = jobs.alias("retried"), jobs.alias("parent")
    # Values and no EXISTS: PostgreSQL would make joins of those, and read the whole table for one
    # side as soon as it expects few rows there. Nearly no job has either of the two.
    # Without the job that did its work again, a dead letter would look untried.
    of_dead = select(retried.c.id).where(retried.c.id == jobs.c.retry_of).scalar_subquery()
    # Its parent may have to look at its end once more.
    is_open = select(parent.c.finished_at.is_(None)).where(parent.c.id == jobs.c.parent_id)
    of_open = func.coalesce(is_open.scalar_subquery(), false())
    return and_(asked_for, of_dead.is_(None), ~of_open)


def _beyond(name: str, given: Callable[..., BindParameter[Any]]) -> ColumnElement[bool]:
    """Say which jobs ended after a place."""
    at, id_ = (
        given(f"{name}_at", type_=BigInteger),
        given(f"{name}_id", type_=jobs.c.id.type),
    )
    # The first of the two alone is what an index can begin with.
    return and_(at <= _AT, or_(at < _AT, jobs.c.id > id_))
