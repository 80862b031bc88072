"""`ctx.wait_for_event` and `ctx.invoke` hold no worker and miss nothing."""

from failsoft.job_engine import JobState
from tests.deployments.shared import House
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


def test_an_event_wakes_a_job_that_waits(house: House) -> None:
    handle = house.dispatch(waits_answer, Question(fails=True))
    wait_until(lambda: "suspend" in house.kinds(handle), PATIENCE, "the job waits")

    woken = house.dispatcher.send_event("answer", Number(value=7), to=handle)

    assert woken == 1
    assert handle.result() == 7
    assert "wake" in house.kinds(handle)


def test_an_event_that_was_sent_before_is_found(house: House) -> None:
    key = house.unique("order")
    house.dispatcher.send_event("answer", {"value": 8}, key=key)

    handle = house.dispatch(waits_answer, Question(key=key))

    assert handle.result() == 8
    assert "suspend" not in house.kinds(handle)


def test_a_wait_that_lasts_too_long_is_over(house: House) -> None:
    handle = house.dispatch(waits_answer, Question(patience=0.1))

    assert handle.result() is None


def test_a_job_invokes_others_and_catches_their_error(house: House) -> None:
    handle = house.dispatch(waits_halves, Number(value=4))
    awaited = house.dispatch(waits_halves_async, Number(value=6))

    assert handle.result() == [4, 2, 1]
    assert awaited.result() == [6, 3]
    assert handle.job().state is JobState.SUCCEEDED


def test_cancelling_a_job_cancels_the_one_it_invoked(house: House) -> None:
    key = house.unique("cancelled")
    handle = house.dispatch(waits_for_another, Question(key=key))
    invoked = wait_until(lambda: _waiting(house, key), PATIENCE, "the invoked job waits")
    assert invoked

    again = house.dispatch(waits_for_another, Question(key=key))
    assert again.result() == "taken"
    handle.cancel()

    assert house.ledger.get(invoked).state is JobState.CANCELLED
    assert handle.status() is JobState.CANCELLED


def _waiting(house: House, key: str) -> str | None:
    found = house.ledger.list_jobs(name=waits_for_ever.name, states=[JobState.SCHEDULED])
    mine = [job.id for job in found if key in job.payload]
    kinds = [event.kind for job_id in mine for event in house.ledger.events(job_id)]
    return mine[0] if "suspend" in kinds else None
