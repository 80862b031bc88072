"""The transaction that a `tx` step shares with its record (rule 11)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection, bindparam, event, select

from failsoft.job_engine.errors import StepError
from failsoft.job_engine.outbox import collecting
from failsoft.job_engine.records.job import Claim, StepRecord
from failsoft.job_engine.steps.tx import LEASE_SHARE
from failsoft.ledger.database.call_limit import RUNNING, STATEMENT_SHARE
from failsoft.ledger.database.errors import WorkError, is_outage
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.tables import steps
from failsoft.ledger.transitions import fenced_writes
from failsoft.ledger.transitions.outbox import insert_records

_RECORDED = select(*steps.c).where(
    steps.c.job_id == bindparam("job"), steps.c.name == bindparam("step")
)


def longest(claim: Claim) -> float:
    """Return how many seconds a statement of a `tx` step may take: as long as the step may."""
    return (claim.lease * LEASE_SHARE).total_seconds()


def record_in(
    connection: Connection, claim: Claim, step: StepRecord, work: Callable[[Connection], str]
) -> StepRecord:
    """Fence, do the work, record the step and what it put into the outbox: all, or nothing.

    Raises:
        WorkError: The work raised.
    """
    fenced_writes.fence(connection, claim)
    # The reply to a commit of this very step may have been lost (F22).
    known = connection.execute(_RECORDED, {"job": claim.job_id, "step": step.name}).one_or_none()
    if known is not None:
        return rows.step_record(known)
    # A statement that takes too long is ended by the server, so that its answer comes first.
    patience = longest(claim) / STATEMENT_SHARE
    begun = time.monotonic()
    with collecting() as records, _uncommitted(connection), RUNNING.answers_within(patience):
        result = _worked(connection, work)
    recorded = replace(step, result=result, elapsed=time.monotonic() - begun)
    fenced_writes.insert_step(connection, claim, recorded)
    # After the work: what it waited for has committed, and has its numbers before these.
    insert_records(connection, claim.job_id, step.name, records)
    return recorded


def _worked(connection: Connection, work: Callable[[Connection], str]) -> str:
    try:
        return work(connection)
    except Exception as error:
        if is_outage(error):
            # The ledger's trouble is never the job's: the step waits, and is done again.
            raise
        raise WorkError(error) from error


@contextmanager
def _uncommitted(connection: Connection) -> Iterator[None]:
    """Keep the work from ending the transaction: half of it would be committed without the rest."""

    def refuse(ended: Connection) -> None:
        # SQLAlchemy takes the transaction for ended now, and would undo nothing any more.
        ended.connection.rollback()
        raise StepError(
            "expected a `tx` step to leave commit and rollback to the ledger, got a call of one; "
            "raise an error to undo its work"
        )

    for ending in ("commit", "rollback"):
        event.listen(connection, ending, refuse)
    try:
        yield
    finally:
        for ending in ("commit", "rollback"):
            event.remove(connection, ending, refuse)
