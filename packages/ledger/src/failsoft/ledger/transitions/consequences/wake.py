"""Waking jobs that wait; changes no state, only the time at which they are offered again."""

from sqlalchemy import Connection, bindparam, update

from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import WAKE
from failsoft.ledger.database import advisory
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.transitions import statements
from failsoft.ledger.transitions.compare_and_set import Cause, event_detail, event_of

_WAKE = (
    update(jobs)
    .where(jobs.c.awaits == bindparam("topic"), jobs.c.state == JobState.SCHEDULED)
    .values(run_at=now_us(), awaits=None, events=jobs.c.events + 1)
    .returning(jobs.c.id, jobs.c.state, jobs.c.epoch, jobs.c.events)
)


def lock(connection: Connection, topic: str) -> None:
    """Let jobs that wait for a topic and what answers it go one after the other.

    Without it each could look before the other commits, and both see nothing: on PostgreSQL a
    statement sees what is committed when it begins. On SQLite there is one writer at a time. A
    job that waits locks the topic before its row, an answer before the jobs that it wakes: no
    deadlock.
    """
    advisory.lock(connection, topic)


def wake(connection: Connection, topic: str, cause: Cause) -> int:
    """Let all jobs that wait for a topic be offered now; return how many (rule 22)."""
    woken = connection.execute(_WAKE, {"topic": topic}).all()
    if woken:
        detail = event_detail(WAKE, cause)
        connection.execute(statements.INSERT_EVENT, [{**event_of(row), **detail} for row in woken])
    return len(woken)
