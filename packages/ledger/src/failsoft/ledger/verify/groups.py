"""Groups, beside the jobs that are still there of them."""

from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    and_,
    case,
    func,
    literal,
    select,
)

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.invariants import groups as groups_invariants
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups
from failsoft.ledger.verify.streams import batches, jobs_by_id, stream

_PLACELESS = func.rtrim(jobs.c.id, "0123456789")
#: The group's part of a member's id, as `member_id` makes it.
_OWN = func.substr(_PLACELESS, 1, func.length(_PLACELESS) - 1)
_SAID = literal('"group":"') + _OWN + literal('"')
#: As `is_member` has it: a job that does the work of another again may name the group, too.
_IS_MEMBER = and_(
    jobs.c.follow_ups.contains('"group":'),
    jobs.c.id != _PLACELESS,
    _OWN + "-" == _PLACELESS,
    func.replace(jobs.c.follow_ups, _SAID, "") != jobs.c.follow_ups,
)
#: What is counted of the members of each group.
_COUNTED: dict[str, ColumnElement[bool]] = {
    "open": jobs.c.state.not_in(sorted(TERMINAL)),
    "succeeded": jobs.c.state == JobState.SUCCEEDED,
    "failed": jobs.c.state == JobState.FAILED,
    "cancelled": jobs.c.state == JobState.CANCELLED,
}


def miscounted(connection: Connection) -> Iterator[Violation]:
    """Find groups whose counters, or whose completion jobs, are not as their jobs are."""
    members = _members()
    counts = [func.coalesce(members.c[f"n_{name}"], 0).label(f"n_{name}") for name in _COUNTED]
    beside = groups.outerjoin(members, members.c.own == groups.c.id)
    for batch in batches(stream(connection, select(*groups.c, *counts).select_from(beside))):
        completions = jobs_by_id(connection, [row.completion_id for row in batch])
        for row in batch:
            found = {name: int(getattr(row, f"n_{name}")) for name in _COUNTED}
            completion = completions.get(row.completion_id)
            tally = groups_invariants.Tally(
                rows.group_record(row), row.created_at, **found, completion=completion
            )
            for check in groups_invariants.CHECKS:
                yield from check(tally)


def missing(connection: Connection) -> Iterator[Violation]:
    """Find jobs that no group could count."""
    some, count = func.min(jobs.c.id).label("some"), func.count().label("jobs")
    own = _OWN.label("own")
    named = select(own, some, count).where(_IS_MEMBER).group_by(own)
    # Looked up by their ids: PostgreSQL would compare every job with every group.
    for batch in batches(stream(connection, named)):
        known = groups_by_id(connection, [row.own for row in batch])
        for row in batch:
            if row.own not in known:
                yield groups_invariants.without_their_group(row.some, row.own, row.jobs)


def groups_by_id(connection: Connection, ids: Collection[str]) -> Mapping[str, GroupRecord]:
    """Return those groups of a batch that are there."""
    found = connection.execute(select(*groups.c).where(groups.c.id.in_(ids)))
    return {row.id: rows.group_record(row) for row in found}


def _members() -> Subquery:
    own = _OWN.label("own")
    counts = [func.sum(case((is_so, 1), else_=0)).label(f"n_{n}") for n, is_so in _COUNTED.items()]
    return select(own, *counts).where(_IS_MEMBER).group_by(own).subquery("members")
