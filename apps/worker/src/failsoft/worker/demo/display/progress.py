"""How far the demo is, by what the ledger holds."""

from collections.abc import Iterable

from failsoft.job_engine.records.states import JobState
from failsoft.worker.demo.environment.ledgers import Ledgers

_BATCH = "batch-"


def batches(ledger: Ledgers, import_id: str) -> list[int]:
    """Return the epochs of the import's finished batches, in their order."""
    return [step.epoch for step in ledger.steps(import_id) if step.name.startswith(_BATCH)]


def resumed_at(ledger: Ledgers, import_id: str) -> int | None:
    """Return the number of the first batch that another attempt added; None if none did."""
    epochs = batches(ledger, import_id)
    added = (n for n, epoch in enumerate(epochs, start=1) if epoch != epochs[0])
    return next(added, None)


def offered_to(ledger: Ledgers, engine: str, jobs: int) -> list[str]:
    """Return the ids of the jobs offered to an engine, among the newest `jobs`."""
    offered = ledger.list_jobs(states=[JobState.OFFERED], limit=jobs)
    return [job.id for job in offered if job.engine == engine]


def have_moved(ledger: Ledgers, jobs: Iterable[str]) -> bool:
    """Whether every job was offered again, which makes its first message void."""
    return all(ledger.get(job).epoch > 1 for job in jobs)


def have_ended(ledger: Ledgers, jobs: int) -> bool:
    """Whether that number of jobs has ended."""
    return sum(count for state, count in ledger.counts().items() if state.is_terminal) >= jobs
