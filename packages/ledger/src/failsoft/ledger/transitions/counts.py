"""How many jobs are in each state, without a look at those that have ended.

A ledger keeps millions of those. How many ever ended is counted already, in several rows so that
no two ends wait for one (see `counters`); what pruning deletes is counted in its transaction, and
the difference is what is there. What has not ended is counted by the index of its state.
"""

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    cast,
    func,
    literal,
    select,
)

from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.schema.jobs import in_state, jobs
from failsoft.ledger.schema.revision import MINIMUM
from failsoft.ledger.schema.tables import aggregates, info, pruned

#: The oldest revision whose code counts what it prunes; nothing relies on it while there is older.
REVISION = "0003"

_ENDED = tuple(sorted(TERMINAL))
_OPEN = tuple(sorted(set(JobState) - TERMINAL))
_ALL_COUNT = select(literal(1)).where(info.c.key == MINIMUM, info.c.value >= REVISION)


def _rows(state: JobState) -> ColumnElement[int]:
    return select(func.count()).select_from(jobs).where(in_state(state)).scalar_subquery()


def _sum(column: ColumnElement[int], of: ColumnElement[bool]) -> ColumnElement[int]:
    return select(cast(func.coalesce(func.sum(column), 0), BigInteger)).where(of).scalar_subquery()


def _counted(state: JobState) -> ColumnElement[int]:
    """Return how many jobs have ended so and are still there, by what was counted."""
    ended = _sum(aggregates.c.count, aggregates.c.outcome == state)
    return ended - _sum(pruned.c.count, pruned.c.state == state)


_QUICKLY = select(
    *(_rows(state).label(state) for state in _OPEN),
    *(_counted(state).label(state) for state in _ENDED),
)
_SLOWLY = select(jobs.c.state, func.count().label("jobs")).group_by(jobs.c.state)
#: In one statement, so of one moment: what counted otherwise than the rows say.
_AT_ODDS = select(
    *(_counted(state).label(f"{state}_counted") for state in _ENDED),
    *(_rows(state).label(f"{state}_rows") for state in _ENDED),
)


def are_kept(connection: Connection) -> bool:
    """Return whether all code that works here counts what it prunes."""
    return connection.execute(_ALL_COUNT).first() is not None


def by_state(connection: Connection) -> dict[JobState, int]:
    """Return how many jobs are in each state; those that no job is in are left out."""
    if are_kept(connection):
        row = connection.execute(_QUICKLY).one()
        found: Mapping[str, int] = row._asdict()
    else:
        found = {row.state: row.jobs for row in connection.execute(_SLOWLY)}
    return {JobState(state): count for state, count in found.items() if count}


def note_pruned(connection: Connection, gone: Mapping[JobState, int]) -> None:
    """Count jobs that are deleted, in the transaction that deletes them."""
    for state, count in sorted(gone.items()):
        more = insert_into(connection.dialect.name, pruned).values(state=state, count=count)
        wanted = {"count": pruned.c.count + more.excluded.count}
        connection.execute(more.on_conflict_do_update(index_elements=["state"], set_=wanted))


def begin(connection: Connection) -> None:
    """Count what code that counted nothing has pruned; called when no such code is left.

    What is pruned meanwhile is added by those that prune it, so this adds, too.
    """
    row = connection.execute(_AT_ODDS).one()._asdict()
    missing = {s: row[f"{s}_counted"] - row[f"{s}_rows"] for s in _ENDED}
    note_pruned(connection, {state: count for state, count in missing.items() if count})


def at_odds(connection: Connection) -> Mapping[JobState, tuple[int, int]]:
    """Return how many jobs have ended so as counted, and by their rows, where those differ."""
    if not are_kept(connection):
        return {}
    row = connection.execute(_AT_ODDS).one()._asdict()
    both = {state: (row[f"{state}_counted"], row[f"{state}_rows"]) for state in _ENDED}
    return {state: found for state, found in both.items() if found[0] != found[1]}
