"""Invoked jobs, beside those that have invoked them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from failsoft.job_engine.invariants import Violation, children
from failsoft.job_engine.invariants.waits import Met
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.verify.streams import batches, columns, jobs_by_id, records, stream
from failsoft.ledger.verify.waits import steps_by_job

#: With their results, which their parents received; the children of one job stand together.
_INVOKED = (
    select(*(each for each in columns(jobs) if each.name != "result"), jobs.c.result)
    .where(jobs.c.parent_id.is_not(None))
    .order_by(jobs.c.parent_id)
)


@dataclass(frozen=True, slots=True)
class _Parent:
    """A job that invoked others, and its steps that wait or have waited, by the others' ids."""

    job: JobRecord
    depth: int
    steps: Mapping[str | None, Sequence[Met]]


def at_odds_with_their_parents(connection: Connection) -> Iterator[Violation]:
    """Find invoked jobs without a parent that invoked them, or at odds with what it recorded."""
    parents: dict[str, _Parent] = {}
    for batch in batches(stream(connection, _INVOKED)):
        ids = {row.parent_id for row in batch}
        # One with many children is the last of one batch and the first of the next.
        parents = {each: parents[each] for each in ids & parents.keys()}
        parents |= _parents(connection, ids - parents.keys())
        depths = {row.id: row.depth for row in batch}
        for job in records(batch):
            parent = parents.get(str(job.parent_id))
            if parent is not None:
                mine = parent.steps.get(job.id, ())
                child = children.Child(job, depths[job.id], parent.job, parent.depth, mine)
                yield from children.broken_by(child)


def _parents(connection: Connection, ids: Collection[str]) -> dict[str, _Parent]:
    found = jobs_by_id(connection, ids)
    deep = connection.execute(select(jobs.c.id, jobs.c.depth).where(jobs.c.id.in_(found)))
    depths = {row.id: row.depth for row in deep}
    steps = steps_by_job(connection, found, StepKind.WAIT, StepKind.ANSWERED)
    return {each: _Parent(job, depths[each], _by_child(steps[each])) for each, job in found.items()}


def _by_child(steps: Sequence[Met]) -> Mapping[str | None, Sequence[Met]]:
    found: defaultdict[str | None, list[Met]] = defaultdict(list)
    for step in steps:
        found[step.child_id].append(step)
    return found
