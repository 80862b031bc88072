"""Payloads of older versions are read; newer ones wait for a newer worker."""

from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine import JobState, declare_job
from tests.deployments.shared import PATIENCE, EngineDeployment
from tests.features.jobs.dispatching.versions import Letter, versions_letter
from tests.features.queues import QUEUE
from tests.servers.processes import wait_until


class OldLetter(BaseModel):
    address: str


def test_a_worker_reads_what_an_older_program_dispatched(deployment: EngineDeployment) -> None:
    old = declare_job(versions_letter.name, payload=OldLetter, result=str, queue=QUEUE.name)

    handle = deployment.dispatch(old, OldLetter(address="Rua 1, Porto"))

    assert handle.result(timedelta(seconds=PATIENCE)) == "Rua 1 in Porto"


class HalfALetter(BaseModel):
    street: str


def test_a_payload_that_no_longer_fits_is_held_by_the_first_attempt(
    deployment: EngineDeployment,
) -> None:
    other = declare_job(
        versions_letter.name, payload=HalfALetter, result=str, queue=QUEUE.name, version=2
    )

    handle = deployment.dispatch(other, HalfALetter(street="Rua 1"))

    held = deployment.wait_for(handle, JobState.HELD)
    assert (held.claims, held.errors) == (1, 0)
    assert held.error is not None
    assert "got: city: Field required" in held.error.message
    *_, last = deployment.ledger.events(handle.id)
    assert "city: Field required" in f"{last.detail['reason']}"


def test_a_worker_gives_back_what_is_newer_than_it(deployment: EngineDeployment) -> None:
    newer = replace(versions_letter, version=3)

    handle = deployment.dispatch(newer, Letter(street="Rua 1", city="Porto"))

    job = wait_until(lambda: deployment.ledger.events(handle.id)[2:], PATIENCE, "it is given back")[
        0
    ]
    assert (job.kind, job.state) == ("release", JobState.SCHEDULED)
    assert job.detail["reason"] == "payload version 3, this worker knows 2"
    handle.cancel()
