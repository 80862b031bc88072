"""Failed work is done again, from where it stopped or from a step; what is paused waits."""

from pathlib import Path

from tests.features.house import PATIENCE, House
from tests.features.jobs.control import Parcel, control_parcel, control_paused
from tests.servers.processes import wait_until
from understudy.dispatcher import JobHandle
from understudy.job_engine import JobState
from understudy.job_engine.invariants import history_of, violations


def test_a_failed_job_is_tried_again_replayed_and_edited(house: House, tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    handle = house.dispatch(control_parcel, Parcel(number=7, stamp=stamp))
    house.wait_for(handle, JobState.FAILED)
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
        expect_sound(house, each)


def test_nothing_of_a_paused_definition_begins(house: House, tmp_path: Path) -> None:
    parcel = Parcel(number=7, stamp=tmp_path)
    house.dispatcher.pause("job", control_paused.name)
    try:
        # Dispatched by a program that may not have heard of the pause yet.
        handles = [house.dispatch(control_paused, parcel) for _ in range(3)]
        wait_until(lambda: waiting(handles), PATIENCE, "paused jobs are set aside")
        assert [handle.job().claims for handle in handles] == [0, 0, 0]
    finally:
        house.dispatcher.unpause("job", control_paused.name)

    assert [handle.result() for handle in handles] == [7, 7, 7]
    for handle in handles:
        expect_sound(house, handle)


def waiting(handles: list[JobHandle[int]]) -> bool:
    return {handle.status() for handle in handles} == {JobState.SCHEDULED}


def expect_sound(house: House, handle: JobHandle[list[str]] | JobHandle[int]) -> None:
    assert list(violations(history_of(house.ledger, handle.id))) == []
