"""Carrying out what the end of a job sets off, in the transaction that ends it."""

from sqlalchemy import Connection, select

from understudy.job_engine.sequel import Hook, failure_job, sequel_from
from understudy.job_engine.states import JobState
from understudy.ledger import rows, transitions
from understudy.ledger.rows import AnyRow
from understudy.ledger.tables import jobs

#: Who the events name.
ACTOR = "sequel"


def set_off(connection: Connection, ended: AnyRow) -> None:
    """Carry out the sequel of a job that has just ended."""
    sequel = sequel_from(ended.sequel)
    if sequel.on_failure is not None and ended.state == JobState.FAILED:
        _dispatch_hook(connection, ended.id, sequel.on_failure)


def _dispatch_hook(connection: Connection, job_id: str, hook: Hook) -> None:
    row = connection.execute(select(*jobs.c).where(jobs.c.id == job_id)).one()
    transitions.insert_job(connection, failure_job(hook, rows.job_record(row)), None, ACTOR)
