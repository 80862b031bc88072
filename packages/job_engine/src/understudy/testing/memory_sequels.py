"""Carrying out what the end of a job sets off, in a ledger in memory."""

from understudy.job_engine.sequel import failure_job, sequel_from
from understudy.job_engine.states import JobState
from understudy.testing.memory_rows import Row, new_row
from understudy.testing.memory_store import Store

#: Who the events name.
ACTOR = "sequel"


def set_off(store: Store, ended: Row) -> None:
    """Carry out the sequel of a job that has just ended; the caller is in a transaction."""
    if ended.sequel is None:
        return
    sequel = sequel_from(ended.sequel)
    if sequel.on_failure is not None and ended.state is JobState.FAILED:
        job = failure_job(sequel.on_failure, ended.record())
        if job.id not in store.rows:
            row = new_row(job, None, store.clock.now())
            store.rows[job.id] = row
            store.append_event(row, "dispatch", ACTOR, {})
