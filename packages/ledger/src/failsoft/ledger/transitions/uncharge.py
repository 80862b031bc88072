"""Taking back the crash of a lease that was lost because its owner was cut off from the ledger."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from failsoft.job_engine.records.job import Claim
from failsoft.job_engine.records.states import RECOVER, TERMINAL, UNCHARGE
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, events
from failsoft.ledger.transitions.compare_and_set import Cause, append_event, event_of

#: Two that take it back at once go one after the other; SQLite's writers do so anyway.
_LOCK = select(jobs.c.id).where(jobs.c.id == bindparam("job")).with_for_update()
_LOST = select(attempts.c.job_id).where(
    attempts.c.job_id == bindparam("job"),
    attempts.c.epoch == bindparam("epoch"),
    attempts.c.claim_id == bindparam("claim"),
    attempts.c.outcome == RECOVER.name,
)
_DONE_BEFORE = select(events.c.n).where(
    events.c.job_id == bindparam("job"),
    events.c.kind == UNCHARGE,
    events.c.detail.contains(bindparam("claim")),
)
#: The revision moves on: a rescuer about to fail the job for its crashes must look again (R15).
_TAKE_BACK = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("job"),
        jobs.c.crashes > 0,
        *(jobs.c.state != state for state in sorted(TERMINAL)),
    )
    .values(crashes=jobs.c.crashes - 1, revision=jobs.c.revision + 1, events=jobs.c.events + 1)
    .returning(*jobs.c)
)


def uncharge(connection: Connection, claim: Claim) -> bool:
    """Take the crash back, once for each claim; return whether that is done."""
    mine: dict[str, Any] = {"job": claim.job_id, "epoch": claim.epoch, "claim": claim.claim_id}
    connection.execute(_LOCK, {"job": claim.job_id})
    if connection.execute(_LOST, mine).one_or_none() is None:
        return False
    of_job = {"job": claim.job_id, "claim": claim.claim_id}
    if connection.execute(_DONE_BEFORE, of_job).first() is not None:
        return True
    row = connection.execute(_TAKE_BACK, {"job": claim.job_id}).one_or_none()
    if row is None:
        return False
    cause = Cause(claim.worker, {"claim": claim.claim_id, "lost": claim.epoch})
    append_event(connection, event_of(row), UNCHARGE, cause)
    return True
