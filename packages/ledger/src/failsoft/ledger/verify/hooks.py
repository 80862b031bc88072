"""The jobs that failures have set off, beside what failed."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from failsoft.job_engine.invariants import Violation, hooks
from failsoft.job_engine.records.follow_ups import FAILURE_PREFIX
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.verify.streams import batches, columns, jobs_by_id, records, stream

_HOOKS = select(*columns(jobs)).where(
    jobs.c.idempotency_key.is_not(None), jobs.c.idempotency_key.startswith(FAILURE_PREFIX)
)


def set_off_by_nothing(connection: Connection) -> Iterator[Violation]:
    """Find jobs of hooks that no failure of a job with that hook has set off."""
    for batch in batches(records(stream(connection, _HOOKS))):
        named = {job.id: str(job.idempotency_key).removeprefix(FAILURE_PREFIX) for job in batch}
        failed = jobs_by_id(connection, set(named.values()))
        for job in batch:
            if named[job.id] in failed:
                yield from hooks.set_off_by_nothing(hooks.SetOff(job, failed[named[job.id]]))
