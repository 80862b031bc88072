"""Jobs that wait for others, beside what they wait for."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from failsoft.job_engine.invariants import Violation, chains
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.verify.groups import groups_by_id
from failsoft.ledger.verify.streams import batches, columns, jobs_by_id, records, stream

_WAITING = select(jobs.c.id, jobs.c.waits_for).where(
    jobs.c.state == JobState.SCHEDULED, jobs.c.waits_for.is_not(None)
)
#: Those after which the next job may not have started. What merely looks as if it were followed by
#: another one is found out when it is read.
_FOLLOWED = select(*columns(jobs)).where(
    jobs.c.follow_ups.contains('"then":'), jobs.c.state != JobState.SUCCEEDED
)


def waiting_in_vain(connection: Connection) -> Iterator[Violation]:
    """Find jobs that no end would ever start."""
    for batch in batches(stream(connection, _WAITING)):
        ids = {row.waits_for for row in batch}
        before, their_groups = jobs_by_id(connection, ids), groups_by_id(connection, ids)
        for job_id, waits_for in batch:
            waiting = chains.Waiting(
                job_id, waits_for, before.get(waits_for), their_groups.get(waits_for)
            )
            yield from chains.waits_in_vain(waiting)


def started_out_of_turn(connection: Connection) -> Iterator[Violation]:
    """Find links of chains that were started before their turn."""
    for batch in batches(records(stream(connection, _FOLLOWED))):
        follow_ups = {job.id: chains.read_follow_ups(job.follow_ups) for job in batch}
        then = {each: s.then.job_id for each, s in follow_ups.items() if s and s.then}
        after = jobs_by_id(connection, set(then.values()))
        for job in batch:
            link = after.get(then.get(job.id, ""))
            if link is not None:
                yield from chains.started_out_of_turn(chains.Link(job, link))
