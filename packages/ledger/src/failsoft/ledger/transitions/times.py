"""Changes of a job's times that change no state: no event, no epoch."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, bindparam, case, select, update

from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.jobs import by_itself, in_state, jobs
from failsoft.ledger.schema.tables import steps

_SLACK = microseconds(SLACK)
_deadline = (
    select(steps.c.recorded_at + bindparam("span", type_=BigInteger))
    .where(steps.c.job_id == bindparam("at_job"), steps.c.name == bindparam("at_name"))
    .scalar_subquery()
)
_BY_DEADLINE = (
    update(jobs)
    .where(jobs.c.id == bindparam("at_job"))
    .values(run_at=case((jobs.c.run_at > _deadline, _deadline), else_=jobs.c.run_at))
)
_LATEST_PICKUP = now_us() + bindparam("beyond", type_=BigInteger)
#: Two rescuers that do it at once must not wait for each other's rows.
_FAR = (
    select(jobs.c.id)
    .where(
        in_state(JobState.OFFERED),
        jobs.c.engine == bindparam("of_engine"),
        jobs.c.queue == bindparam("of_queue"),
        jobs.c.pickup_by > _LATEST_PICKUP,
    )
    .with_for_update(skip_locked=True)
)
_HASTEN = (
    update(jobs)
    .where(jobs.c.id.in_(_FAR), by_itself(jobs.c.state) == JobState.OFFERED)
    .values(pickup_by=now_us())
)
_PICKUPS = (
    update(jobs)
    .where(
        in_state(JobState.OFFERED),
        by_itself(jobs.c.queue) == bindparam("of_queue"),
        jobs.c.pickup_by > _LATEST_PICKUP + _SLACK,
    )
    .values(pickup_by=_LATEST_PICKUP)
)
_WAITS = (
    update(steps)
    .where(
        steps.c.job_id == bindparam("at_job"),
        steps.c.kind == StepKind.WAIT,
        steps.c.recorded_at > now_us() + _SLACK,
    )
    .values(recorded_at=now_us())
)
_ENDS = update(jobs).where(jobs.c.finished_at > now_us() + _SLACK).values(finished_at=now_us())
_AS_SEEN = and_(
    jobs.c.id == bindparam("at_id"),
    jobs.c.epoch == bindparam("at_epoch"),
    jobs.c.revision == bindparam("at_revision"),
    jobs.c.events == bindparam("at_events"),
)


def wait_at_most(connection: Connection, job_id: str, step: str, timeout: timedelta) -> None:
    """Let a suspended job run again at the latest when the wait of a step has lasted so long."""
    given: dict[str, Any] = {"at_job": job_id, "at_name": step}
    connection.execute(_BY_DEADLINE, given | {"span": microseconds(timeout)})


def hasten_pickups(connection: Connection, engine: str, queue: str, beyond: timedelta) -> None:
    """Let the pickup deadlines of an engine's offers pass now that are further away."""
    values = {"of_engine": engine, "of_queue": queue, "beyond": microseconds(beyond)}
    connection.execute(_HASTEN, values)


def pull_in_pickups(connection: Connection, queue: str, beyond: timedelta) -> int:
    """Pull in the pickup deadlines of a queue that are further away; return how many."""
    values = {"of_queue": queue, "beyond": microseconds(beyond)}
    return connection.execute(_PICKUPS, values).rowcount


def pull_in_ends(connection: Connection) -> int:
    """Pull in the ends of jobs that are in the future; return how many."""
    return connection.execute(_ENDS).rowcount


def pull_in_waits(connection: Connection, job_id: str) -> None:
    """Let the waits of a job's steps that began in the future begin now."""
    connection.execute(_WAITS, {"at_job": job_id})


def set_times(connection: Connection, seen: AnyRow, times: Mapping[str, datetime]) -> bool:
    """Set times of a job; return whether it was still as it was seen."""
    at = {"at_id": seen.id, "at_epoch": seen.epoch, "at_revision": seen.revision}
    statement = update(jobs).where(_AS_SEEN).values(dict(times))
    return connection.execute(statement, at | {"at_events": seen.events}).rowcount == 1
