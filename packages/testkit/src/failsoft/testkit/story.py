"""A job's story: what became of it, from what the ledger keeps."""

from collections.abc import Iterator
from datetime import datetime

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.error_record import ErrorRecord


def story(ledger: Ledger, job_id: str) -> str:
    """Return attempts, steps and history of a job, a line each."""
    return "\n".join(_lines(ledger, job_id))


def _lines(ledger: Ledger, job_id: str) -> Iterator[str]:
    job = ledger.get(job_id)
    engine = f" on {job.engine}" if job.engine else ""
    yield f"job {job.id}  {job.name}  {job.state}{engine}"
    yield f"payload   {job.payload}"
    if job.result is not None:
        yield f"result    {job.result}"
    if job.error is not None:
        yield f"error     {_short(job.error)}"
    for attempt in ledger.attempts(job_id):
        outcome = attempt.outcome or "runs"
        error = f": {_short(attempt.error)}" if attempt.error else ""
        yield f"attempt   {attempt.epoch} on {attempt.engine} {outcome}{error}"
    for step in ledger.steps(job_id):
        yield f"step      {step.name} ({step.kind}, attempt {step.epoch}) {step.result}"
    for event in ledger.events(job_id):
        detail = ", ".join(f"{name} {value}" for name, value in event.detail.items())
        since = _since(job.created_at, event.at)
        yield f"{since}  {event.kind} -> {event.state}{f' ({detail})' if detail else ''}"


def _short(error: ErrorRecord) -> str:
    return f"{error.type}: {error.message}"


def _since(begin: datetime, moment: datetime) -> str:
    return f"+{(moment - begin).total_seconds():.1f}s".ljust(9)
