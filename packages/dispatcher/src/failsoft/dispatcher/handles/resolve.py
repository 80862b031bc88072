"""Resolving held jobs: a decision counts once, however often it is sent."""

from typing import Protocol

from failsoft.job_engine.errors import JobStateError, StepError
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.ports.ledger import LedgerReader
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import JobState


class ResolvingLedger(ControlLedger, LedgerReader, Protocol):
    """What resolving needs of the ledger."""


def resolve(
    ledger: ResolvingLedger, job_id: str, resolution: Resolution, epoch: int | None = None
) -> JobRecord:
    """Resolve a held job; return it as it is then.

    Args:
        ledger: Where it is held.
        job_id: The job.
        resolution: What was decided.
        epoch: The job's epoch at the decision; a job that went on and is held again has another,
            and is left alone.

    Raises:
        JobNotFoundError: If there is no such job.
        JobStateError: If it is not held, or no longer as it was.
        StepError: If a step of `done` is not in doubt.
    """
    job = ledger.get(job_id)
    if job.state is JobState.HELD and epoch in (None, job.epoch):
        _check_steps(ledger, job_id, resolution)
        resolved = ledger.resolve(job, resolution)
        if resolved is not None:
            return resolved
    return _resolved_before(ledger, job_id, resolution, epoch)


def _check_steps(ledger: LedgerReader, job_id: str, resolution: Resolution) -> None:
    in_doubt = [step.name for step in ledger.steps(job_id) if step.kind is StepKind.INTENT]
    strange = sorted(resolution.done.keys() - set(in_doubt))
    if strange:
        raise StepError(
            f"expected steps of job {job_id} that are in doubt "
            f"({', '.join(in_doubt) or 'there is none'}), got {', '.join(strange)}"
        )


def _resolved_before(
    ledger: LedgerReader, job_id: str, resolution: Resolution, epoch: int | None
) -> JobRecord:
    job = ledger.get(job_id)
    if resolution.made(job, ledger.events(job_id)):
        return job
    expected = "to be held" if epoch is None else f"to be held at epoch {epoch}"
    raise JobStateError(
        f"expected job {job_id} {expected}, got one that is {job.state} at epoch {job.epoch}; "
        f"look at it again with `failsoft jobs show {job_id}`"
    )
