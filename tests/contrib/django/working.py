"""A worker in this process, for one attempt at a time."""

import secrets
from datetime import timedelta

from failsoft.contrib.django.running import django_task
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.worker.wiring import App

LEASE = timedelta(seconds=60)


def attempt(app: App, job_id: str, worker: str = "boot-1") -> JobState | None:
    """Run one attempt of a job; offer it before, if it waits."""
    job = app.ledger.get(job_id)
    if job.state is JobState.SCHEDULED:
        offered = app.ledger.offer(job, OfferPlan("memory", LEASE, "due"))
        assert offered is not None
        job = offered
    ticket = Ticket(job.id, job.epoch, "memory", job.queue, secrets.token_hex(16), worker, LEASE)
    claim = app.ledger.claim(ticket)
    assert claim is not None
    return Executor(app.ledger, Catalogue([django_task]), app.clock).run(claim, Lease())
