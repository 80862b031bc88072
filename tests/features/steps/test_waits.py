"""`ctx.wait_for_event` and `ctx.invoke` hold no worker and miss nothing."""

from failsoft.job_engine import JobState
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.waits import (
    Number,
    Question,
    waits_answer,
    waits_for_another,
    waits_for_ever,
    waits_halves,
    waits_halves_async,
)
from tests.servers.processes import PATIENCE, wait_until


def test_an_event_wakes_a_job_that_waits(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(waits_answer, Question(fails=True))
    wait_until(lambda: "suspend" in deployment.kinds(handle), PATIENCE, "the job waits")

    woken = deployment.dispatcher.send_event("answer", Number(value=7), to=handle)

    assert woken == 1
    assert handle.result() == 7
    assert "wake" in deployment.kinds(handle)


def test_an_event_that_was_sent_before_is_found(deployment: EngineDeployment) -> None:
    key = deployment.unique("order")
    deployment.dispatcher.send_event("answer", {"value": 8}, key=key)

    handle = deployment.dispatch(waits_answer, Question(key=key))

    assert handle.result() == 8
    assert "suspend" not in deployment.kinds(handle)


def test_a_wait_that_lasts_too_long_is_over(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(waits_answer, Question(patience=0.1))

    assert handle.result() is None


def test_a_job_invokes_others_and_catches_their_error(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(waits_halves, Number(value=4))
    awaited = deployment.dispatch(waits_halves_async, Number(value=6))

    assert handle.result() == [4, 2, 1]
    assert awaited.result() == [6, 3]
    assert handle.job().state is JobState.SUCCEEDED


def test_cancelling_a_job_cancels_the_one_it_invoked(deployment: EngineDeployment) -> None:
    key = deployment.unique("cancelled")
    handle = deployment.dispatch(waits_for_another, Question(key=key))
    invoked = wait_until(lambda: _waiting(deployment, key), PATIENCE, "the invoked job waits")
    assert invoked

    again = deployment.dispatch(waits_for_another, Question(key=key))
    assert again.result() == "taken"
    handle.cancel()

    assert deployment.ledger.get(invoked).state is JobState.CANCELLED
    assert handle.status() is JobState.CANCELLED


def _waiting(deployment: EngineDeployment, key: str) -> str | None:
    found = deployment.ledger.list_jobs(name=waits_for_ever.name, states=[JobState.SCHEDULED])
    mine = [job.id for job in found if key in job.payload]
    kinds = [event.kind for job_id in mine for event in deployment.ledger.events(job_id)]
    return mine[0] if "suspend" in kinds else None
