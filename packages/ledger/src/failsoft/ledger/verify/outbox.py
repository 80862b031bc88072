"""The records of the outbox, beside the steps that they were written with."""

from collections.abc import Iterator

from sqlalchemy import Connection, exists, select

from failsoft.job_engine.invariants import Violation
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import outbox, steps

_OF_NO_STEP = (
    select(outbox.c.job_id, outbox.c.step, outbox.c.id)
    .where(
        # A job that was pruned has no steps any more.
        exists().where(jobs.c.id == outbox.c.job_id),
        ~exists().where(steps.c.job_id == outbox.c.job_id, steps.c.name == outbox.c.step),
    )
    .order_by(outbox.c.seq)
)


def of_no_step(connection: Connection) -> Iterator[Violation]:
    """Find records whose step is not recorded: both are written, or neither (I11)."""
    for job_id, step, record in connection.execute(_OF_NO_STEP):
        promise = "what a `tx` step puts into the outbox is recorded with the step"
        yield Violation(job_id, "I11", promise, f"record {record} of step {step!r}, and no step")
