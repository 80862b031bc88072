"""Invoked jobs, beside those that have invoked them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection, select

from understudy.job_engine.invariants import Violation, of_children
from understudy.job_engine.invariants.of_waits import Met
from understudy.job_engine.records import StepKind
from understudy.ledger.job_table import jobs
from understudy.ledger.verifying.streams import batches, columns, jobs_by_id, records, stream
from understudy.ledger.verifying.waits import steps_by_job

#: With their results: they were told to their parents.
_INVOKED = select(
    *(column for column in columns(jobs) if column.name != "result"), jobs.c.result, jobs.c.depth
).where(jobs.c.parent_id.is_not(None))


def at_odds_with_their_parents(connection: Connection) -> Iterator[Violation]:
    """Find invoked jobs that nobody invoked, or that their parents know otherwise."""
    for batch in batches(stream(connection, _INVOKED)):
        ids = {row.parent_id for row in batch}
        parents, depths = jobs_by_id(connection, ids), _depths(connection, ids)
        waits = steps_by_job(connection, ids, StepKind.WAIT, StepKind.MET)
        steps = {each: _by_child(mine) for each, mine in waits.items()}
        depth_of = {row.id: row.depth for row in batch}
        for job in records(batch):
            parent = parents.get(str(job.parent_id))
            if parent is not None:
                mine = steps.get(parent.id, {}).get(job.id, ())
                child = of_children.Child(job, depth_of[job.id], parent, depths[parent.id], mine)
                yield from of_children.broken_by(child)


def _by_child(steps: Sequence[Met]) -> Mapping[str | None, Sequence[Met]]:
    found: defaultdict[str | None, list[Met]] = defaultdict(list)
    for step in steps:
        found[step.child_id].append(step)
    return found


def _depths(connection: Connection, ids: Collection[str]) -> Mapping[str, int]:
    found = connection.execute(select(jobs.c.id, jobs.c.depth).where(jobs.c.id.in_(ids)))
    return {row.id: row.depth for row in found}
