"""The measurements after the demo: from the ledger, the table, the receiver and the logs."""

from collections.abc import Sequence

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.records.states import JobState
from failsoft.worker.demo.checks import Evidence, JobFacts
from failsoft.worker.demo.dispatching import Application
from failsoft.worker.demo.environment.airports import (
    KEY,
    airports_csv,
    imported_keys,
    read_airports,
)
from failsoft.worker.demo.environment.environment import Environment
from failsoft.worker.demo.environment.ledgers import Ledgers
from failsoft.worker.demo.environment.worker_logs import logged_errors, refusals
from failsoft.worker.demo.plan import Plan


def gather(environment: Environment, plan: Plan, application: Application) -> Evidence:
    """Gather the evidence; all workers must have stopped."""
    found = {job_id: _facts(environment.ledger, job_id) for job_id in application.jobs}
    refused = refusals(environment.successor.log)
    return Evidence(
        engines=environment.engines,
        dispatched=application.jobs,
        after_failback=application.after_failback,
        jobs={job_id: facts for job_id, facts in found.items() if facts is not None},
        rows_expected=[airport[KEY] for airport in read_airports(airports_csv())],
        rows_found=imported_keys(environment.imported),
        webhooks_expected=plan.webhooks,
        webhooks_unique=environment.receiver.unique,
        webhooks_taken=environment.receiver.taken,
        # The workers may have taken some before the others were counted.
        returned=max(application.returned, refused),
        refused=refused,
        failover=application.failover,
        by_ledger=environment.ledger.jobs_by_name() if len(environment.apps) > 1 else {},
    )


def unexplained(environment: Environment) -> Sequence[str]:
    """Return the jobs that did not succeed and the errors that the workers logged."""
    others = [state for state in JobState if state is not JobState.SUCCEEDED]
    jobs = [
        f"{job.id} {job.name} is {job.state} on {job.engine}: {job.error and job.error.message}"
        for job in environment.ledger.list_jobs(states=others)
    ]
    return [*jobs, *(words for host in environment.hosts for words in logged_errors(host.log))]


def _facts(ledger: Ledgers, job_id: str) -> JobFacts | None:
    try:
        job = ledger.get(job_id)
    except JobNotFoundError:
        return None
    return JobFacts(
        state=job.state,
        attempts=ledger.attempts(job_id),
        events=ledger.events(job_id),
        step_epochs=[step.epoch for step in ledger.steps(job_id)],
    )
