"""Which ended jobs may be pruned: statements that are made once for each definition and state.

To make such a statement takes longer than a database takes to delete a job.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Delete,
    and_,
    bindparam,
    delete,
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
        unremembered: The ids of those whose keys are to be remembered first; takes `limit`.
        oldest: The oldest that may be deleted, with their ends; takes `limit`.
        delete: Deletes those of some `ids` that still may be.
    """

    newest: AnySelect
    end: AnySelect
    how_many: AnySelect
    unremembered: AnySelect
    oldest: AnySelect
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


def span(after: Place = FIRST, upto: Place = LAST, newest: Place = FIRST) -> Mapping[str, Any]:
    """Return the parameters of where statements begin, where they end, and what is one too many."""
    places = {"after": after, "upto": upto, "newest": newest}
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
def statements(kept: Kept, settles: timedelta) -> Statements:
    """Make the statements for the jobs of a definition that ended so."""
    ended = (jobs.c.name == kept.name, jobs.c.state == kept.state, jobs.c.finished_at.is_not(None))
    after, upto, settled = _beyond("after"), ~_beyond("upto"), remembered_keys.has_settled(settles)
    may_go, oldest = _may_go(kept.retention), select(jobs.c.id, _AT.label("at"))
    newest_first = (jobs.c.finished_at.desc(), jobs.c.id.desc())
    # Found by their ids: the index of those that ended so has many more.
    named = (by_itself(jobs.c.name) == kept.name, by_itself(jobs.c.state) == kept.state)
    mine = (jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.finished_at.is_not(None))
    return Statements(
        oldest.where(*ended).order_by(*newest_first).offset(bindparam("keep")).limit(1),
        oldest.where(*ended, after).order_by(*_ORDER).offset(SPAN - 1).limit(1),
        select(func.count()).select_from(jobs).where(*ended, after, upto, may_go),
        remembered_keys.unremembered(and_(*ended, after, upto, may_go))
        .order_by(*_ORDER)
        .limit(_LIMIT),
        oldest.where(*ended, after, may_go, settled).order_by(*_ORDER).limit(_LIMIT),
        delete(jobs).where(*mine, *named, may_go, settled),
    )


def _may_go(retention: Retention) -> ColumnElement[bool]:
    """Say which of those that ended so are kept no longer, and nothing relies on them."""
    too_old = jobs.c.finished_at < now_us() - microseconds(retention.age)
    # A job that ends meanwhile only moves that line towards newer jobs, so it stays right.
    too_many = [] if retention.count is None else [~_beyond("newest")]
    # A job that still holds a unique key must be found by it.
    asked_for = or_(jobs.c.unique_until.is_(None), jobs.c.unique_until <= now_us())
    retried, parent = jobs.alias("retried"), jobs.alias("parent")
    # Without the job that did its work again, a dead letter would look untried.
    of_dead = select(retried.c.id).where(retried.c.id == jobs.c.retry_of).exists()
    # Its parent may have to look at its end once more.
    is_open = and_(parent.c.id == jobs.c.parent_id, parent.c.finished_at.is_(None))
    of_open = select(parent.c.id).where(is_open).exists()
    return and_(asked_for, ~of_dead, ~of_open, or_(too_old, *too_many))


def _beyond(name: str) -> ColumnElement[bool]:
    """Say which jobs ended after a place."""
    at, id_ = (
        bindparam(f"{name}_at", type_=BigInteger),
        bindparam(f"{name}_id", type_=jobs.c.id.type),
    )
    # The first of the two alone is what an index can begin with.
    return and_(at <= _AT, or_(at < _AT, jobs.c.id > id_))
