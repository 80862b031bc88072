"""Failed work is done again, from where it stopped or from a step; what is paused waits."""

from datetime import timedelta
from pathlib import Path

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.invariants import history_of, violations
from failsoft.job_engine.records.pauses import Pause
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.cancel import Gate, gated
from tests.features.jobs.control.control import Parcel, control_parcel, control_paused
from tests.features.queues import QUEUE
from tests.servers.processes import PATIENCE, wait_until

SOON = timedelta(milliseconds=300)


def test_a_failed_job_is_tried_again_replayed_and_edited(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    stamp = tmp_path / "stamp"
    handle = deployment.dispatch(control_parcel, Parcel(number=7, stamp=stamp))
    deployment.wait_for(handle, JobState.FAILED)
    stamp.touch()

    retried = handle.retry(reason="stamped")
    edited = handle.retry(payload=Parcel(number=8, stamp=stamp))

    assert retried.result() == ["70 g", f"{handle.id}:send"]
    assert edited.result() == ["80 g", f"{edited.id}:send"]
    replayed = retried.retry(from_step="send")
    assert replayed.result() == ["70 g", f"{replayed.id}:send"]
    assert handle.status() is JobState.FAILED
    assert handle.retry().id == retried.id
    for each in (handle, retried, edited, replayed):
        expect_sound(deployment, each)


def test_nothing_of_a_paused_definition_begins(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    parcel = Parcel(number=7, stamp=tmp_path)
    deployment.dispatcher.pause("job", control_paused.name)
    try:
        handles = [deployment.dispatch(control_paused, parcel) for _ in range(3)]
        wait_until(lambda: waiting(handles), PATIENCE, "paused jobs are set aside")
        assert [handle.job().claims for handle in handles] == [0, 0, 0]
    finally:
        deployment.dispatcher.unpause("job", control_paused.name)

    assert [handle.result() for handle in handles] == [7, 7, 7]
    for handle in handles:
        expect_sound(deployment, handle)


def test_nothing_of_a_paused_queue_begins_and_what_runs_goes_on(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    running = deployment.dispatch(gated, gate)
    wait_until(gate.entered.exists, PATIENCE, "a job runs")

    # As another process does, of which this one has not heard yet.
    deployment.ledger.pause(Pause("queue", QUEUE.name, "ada", "the carrier is on strike"))
    try:
        parcels = [Parcel(number=n, stamp=tmp_path) for n in (1, 2)]
        # They are offered in vain, and for so long only.
        handles = [deployment.dispatch(control_paused, each, pickup=SOON) for each in parcels]
        wait_until(lambda: waiting(handles), PATIENCE, "the queue's jobs are set aside")
        gate.opened.touch()
        deployment.wait_for(running)
        assert [handle.job().claims for handle in handles] == [0, 0]
        pause = handles[0].paused()
        assert pause is not None
        assert (pause.kind, pause.reason) == ("queue", "the carrier is on strike")
    finally:
        deployment.dispatcher.unpause("queue", QUEUE.name)

    assert [handle.result() for handle in handles] == [1, 2]
    for handle in handles:
        expect_sound(deployment, handle)


def waiting(handles: list[JobHandle[int]]) -> bool:
    return {handle.status() for handle in handles} == {JobState.SCHEDULED}


def expect_sound(
    deployment: EngineDeployment, handle: JobHandle[list[str]] | JobHandle[int]
) -> None:
    assert list(violations(history_of(deployment.ledger, handle.id))) == []
