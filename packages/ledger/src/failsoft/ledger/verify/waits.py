"""Jobs that await something, beside what they await, and what they have received."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, select, union

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.invariants import waits as waits_invariants
from failsoft.job_engine.invariants.waits import Awaiting, Met
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.states import SUSPEND, JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import microseconds
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, receipts, sent_events, steps
from failsoft.ledger.verify.streams import ByJob, batches, jobs_by_id, stream, unreadable

#: An event that had to be forgotten while a job looked for it is not missed.
_WHILE_IT_LOOKED = timedelta(minutes=1)

_MISSED = (
    select(sent_events.c.id)
    .where(
        sent_events.c.topic == jobs.c.awaits,
        sent_events.c.expires_at > attempts.c.ended_at + microseconds(_WHILE_IT_LOOKED),
        ~exists().where(receipts.c.job_id == jobs.c.id, receipts.c.event_id == sent_events.c.id),
    )
    .limit(1)
    .correlate(jobs, attempts)
    .scalar_subquery()
)
#: The attempt that suspended the job, if it was not offered since.
_SUSPENDED = and_(
    attempts.c.job_id == jobs.c.id,
    attempts.c.epoch == jobs.c.epoch,
    attempts.c.outcome == SUSPEND.name,
)
_AWAITING = (
    select(
        jobs.c.id,
        jobs.c.state,
        jobs.c.awaits,
        jobs.c.run_at,
        attempts.c.epoch.is_not(None).label("is_suspended"),
        _MISSED.label("missed"),
    )
    .select_from(jobs.outerjoin(attempts, _SUSPENDED))
    .where(jobs.c.awaits.is_not(None))
)

_RECEIVERS = union(
    select(receipts.c.job_id), select(steps.c.job_id).where(steps.c.kind == StepKind.ANSWERED)
).subquery()


def awaiting_in_vain(connection: Connection) -> Iterator[Violation]:
    """Find jobs that nothing would wake, or nothing has woken."""
    for batch in batches(stream(connection, _AWAITING)):
        waits = steps_by_job(connection, [row.id for row in batch], StepKind.WAIT)
        ids = [step.child_id for mine in waits.values() for step in mine]
        children = jobs_by_id(connection, ids)
        for row in batch:
            with suppress(ValueError):
                awaiting = _awaiting(row, waits[row.id], children)
                yield from waits_invariants.awaits_in_vain(awaiting)


def received_otherwise(connection: Connection) -> Iterator[Violation]:
    """Find jobs whose receipts and steps do not agree."""
    noted = ByJob(stream(connection, _in_order(select(*receipts.c))))
    met = ByJob(stream(connection, _in_order(_kept_of(StepKind.ANSWERED))))
    receivers = select(_RECEIVERS.c.job_id).order_by(_RECEIVERS.c.job_id)
    for (job_id,) in stream(connection, receivers):
        mine, unread = _read(met.of(job_id))
        yield from unread
        received = waits_invariants.Received(
            job_id, [row.event_id for row in noted.of(job_id)], mine
        )
        yield from waits_invariants.received_otherwise(received)


def steps_by_job(
    connection: Connection, ids: Collection[str], *kinds: StepKind
) -> defaultdict[str, list[Met]]:
    """Return what the steps of a batch of jobs wait for, or have met; leave out the unreadable."""
    found: defaultdict[str, list[Met]] = defaultdict(list)
    if ids:
        kept = _kept_of(*kinds).where(steps.c.job_id.in_(ids))
        for step in _read(stream(connection, kept))[0]:
            found[step.job_id].append(step)
    return found


def _awaiting(row: AnyRow, mine: Sequence[Met], children: Mapping[str, JobRecord]) -> Awaiting:
    found = [children[s.child_id] for s in mine if s.child_id and s.child_id in children]
    return Awaiting(
        row.id,
        JobState(row.state),
        row.awaits,
        row.run_at,
        row.is_suspended,
        mine,
        found[0].state if found else None,
        row.missed,
    )


def _kept_of(*kinds: StepKind) -> Select[*tuple[Any, ...]]:
    return select(*steps.c).where(steps.c.kind.in_(kinds))


def _in_order(statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return statement.order_by(statement.selected_columns.job_id)


def _read(found: Iterator[AnyRow] | Sequence[AnyRow]) -> tuple[list[Met], list[Violation]]:
    read, unread = list[Met](), list[Violation]()
    for row in found:
        try:
            read.append(waits_invariants.met_from(row.job_id, rows.step_record(row)))
        except ValueError as error:
            unread.append(unreadable(row.job_id, error))
    return read, unread
