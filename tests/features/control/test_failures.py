"""What becomes of a job that raises: its policy, its own word, its dead letter."""

from datetime import timedelta

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobFailedError
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.failures import A_LITTLE, LATER, Trouble, failing


def pauses(deployment: EngineDeployment, handle: JobHandle[int]) -> list[timedelta]:
    """How long the job waited after each failure, on the ledger's clock."""
    events = deployment.ledger.events(handle.id)
    failed = [event.at for event in events if event.kind == "retry"]
    offered = [event.at for event in events if event.kind == "offer"]
    return [after - before for before, after in zip(failed, offered[-len(failed) :], strict=True)]


def test_each_failure_waits_as_the_list_says_and_the_last_pause_repeats(
    deployment: EngineDeployment,
) -> None:
    handle = deployment.dispatch(failing, Trouble(failures=3))

    assert handle.result() == 4
    first, *others = pauses(deployment, handle)
    assert first >= A_LITTLE
    assert all(pause >= LATER for pause in others)
    assert handle.job().errors == 3


def test_a_job_says_itself_when_it_is_tried_again(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(failing, Trouble(failures=1, says="later"))

    assert handle.result() == 2
    assert pauses(deployment, handle)[0] >= LATER


@pytest.mark.parametrize(("says", "error"), [("never", "NonRetryableError"), ("gone", "KeyError")])
def test_what_is_not_to_be_tried_again_fails_at_once(
    deployment: EngineDeployment, says: str, error: str
) -> None:
    handle = deployment.dispatch(failing, Trouble(failures=9, says=says))

    with pytest.raises(JobFailedError) as caught:
        handle.result(timeout=timedelta(seconds=60))

    assert caught.value.error_type.endswith(error)
    assert handle.job().claims == 1


def test_a_dead_letter_keeps_its_error_and_anybody_may_ask_for_it_by_id(
    deployment: EngineDeployment,
) -> None:
    handle = deployment.dispatch(failing, Trouble(failures=9))
    deployment.wait_for(handle, JobState.FAILED)

    found = deployment.dispatcher.handle(failing, handle.id)
    with pytest.raises(JobFailedError, match="attempt 4: hung up") as caught:
        found.result(timeout=timedelta(0))

    assert (caught.value.job_id, caught.value.error_type) == (handle.id, "ConnectionError")
    assert "in fail\n" in caught.value.traceback
    assert caught.value.traceback.rstrip().endswith("ConnectionError: attempt 4: hung up")


def test_a_result_is_kept_and_anybody_may_ask_for_it_by_id(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(failing, Trouble(failures=0))
    assert handle.result() == 1

    assert deployment.dispatcher.handle(failing, handle.id).result(timeout=timedelta(0)) == 1


def test_dead_letters_are_tried_again_together_and_once(deployment: EngineDeployment) -> None:
    handles = [deployment.dispatch(failing, Trouble(failures=9, says="never")) for _ in range(3)]
    for handle in handles:
        deployment.wait_for(handle, JobState.FAILED)

    report = deployment.dispatcher.retry_many(name=failing.name, reason="a new bank")

    retried = dict(report.retried)
    assert {handle.id for handle in handles} <= retried.keys()
    again = [deployment.dispatcher.handle(failing, retried[handle.id]) for handle in handles]
    assert [handle.job().retry_of for handle in again] == [handle.id for handle in handles]
    for handle in again:
        deployment.wait_for(handle, JobState.FAILED)
    assert {handle.id for handle in handles}.isdisjoint(
        dict(deployment.dispatcher.retry_many(name=failing.name).retried)
    )
