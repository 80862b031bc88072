"""`unique`, `throttle` and `debounce`: what runs of many dispatches that mean the same."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.dispatcher import DispatchOptions, JobHandle
from failsoft.job_engine import Debounce, JobState, Throttle, Unique
from failsoft.job_engine.errors import UniqueKeyHeldError
from tests.deployments.shared import House
from tests.features.jobs.control.cancel import Gate, gated
from tests.features.jobs.control.control import Parcel, control_parcel
from tests.features.jobs.dispatching.dispatch_options import Note, echo
from tests.features.jobs.dispatching.unique import Repair, repair
from tests.servers.processes import PATIENCE, wait_until

HOUR = timedelta(hours=1)
BY = ("customer",)
BY_STAMP = ("stamp",)


def test_a_unique_job_is_there_once_until_it_has_ended(house: House) -> None:
    customer, one = house.unique("acme"), Unique(by=BY)

    def dispatch(number: int) -> JobHandle[str]:
        note = Note(text=str(number), customer=customer)
        return house.dispatch(echo, note, unique=one, delay=HOUR)

    with ThreadPoolExecutor(4) as threads:
        handles = list(threads.map(dispatch, range(8)))

    assert len({handle.id for handle in handles}) == 1
    assert [handle.created for handle in handles].count(True) == 1
    handles[0].cancel()
    assert dispatch(9).created


def test_a_key_is_free_when_its_job_has_ended(house: House, tmp_path: Path) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    one = Unique(by=("entered",))
    first = house.dispatch(gated, gate, unique=one)
    house.wait_for(first, JobState.RUNNING)
    assert house.dispatch(gated, gate, unique=one).id == first.id

    gate.opened.touch()
    house.wait_for(first)

    again = house.dispatch(gated, gate, unique=one)
    assert (again.created, again.id != first.id) == (True, True)
    house.wait_for(again)


def test_a_key_is_free_when_its_job_has_failed(house: House, tmp_path: Path) -> None:
    parcel, one = Parcel(number=7, stamp=tmp_path / "stamp"), Unique(by=BY_STAMP)
    first = house.dispatch(control_parcel, parcel, unique=one)
    house.wait_for(first, JobState.FAILED)

    again = house.dispatch(control_parcel, parcel, unique=one)

    assert again.created
    house.wait_for(again, JobState.FAILED)


def test_a_job_unique_for_a_period_holds_its_key_when_it_has_ended(house: House) -> None:
    customer, once = house.unique("acme"), Unique(by=BY, period=HOUR)
    first = house.dispatch(echo, Note(text="first", customer=customer), unique=once)
    assert first.result() == "first"

    again = house.dispatch(echo, Note(text="second", customer=customer), unique=once)
    other = house.dispatch(echo, Note(text="other", customer=customer + "-2"), unique=once)

    assert (again.id, again.disposition, again.result()) == (first.id, "existing", "first")
    assert (other.disposition, other.result()) == ("created", "other")


def test_a_key_is_free_when_its_period_is_over(house: House) -> None:
    note, period = Note(customer=house.unique("acme")), timedelta(milliseconds=300)

    def dispatch() -> JobHandle[str]:
        return house.dispatch(echo, note, unique=Unique(by=BY, period=period))

    first = dispatch()
    wait_until(lambda: dispatch().created, PATIENCE, "the period is over")

    mine = [job for job in house.ledger.list_jobs(name=echo.name) if note.customer in job.payload]
    newest, oldest = sorted((job.created_at for job in mine), reverse=True)
    assert oldest == first.job().created_at
    assert newest - oldest >= period


@pytest.mark.parametrize(
    "identity",
    [
        {"unique": Unique(by=BY_STAMP)},
        {"unique": Unique(by=BY_STAMP, period=HOUR)},
        {"throttle": Throttle(by=BY_STAMP, period=HOUR)},
    ],
    ids=["incomplete", "period", "throttle"],
)
def test_a_dead_letter_is_tried_again_although_it_holds_its_key(
    house: House, tmp_path: Path, identity: DispatchOptions
) -> None:
    parcel = Parcel(number=7, stamp=tmp_path / "stamp")
    dead = house.dispatch(control_parcel, parcel, **identity)
    house.wait_for(dead, JobState.FAILED)
    parcel.stamp.touch()

    retried = dead.retry()

    assert retried.id != dead.id
    assert retried.result() == ["70 g", f"{dead.id}:send"]
    again = house.dispatch(control_parcel, parcel, **identity)
    assert again.created == (identity.get("unique") == Unique(by=BY_STAMP))


def test_a_retry_holds_the_key_of_its_dead_letter_while_it_runs(
    house: House, tmp_path: Path
) -> None:
    dead, payload = failed_repair(house, tmp_path)
    payload.part.touch()

    retried = dead.retry()
    house.wait_for(retried, JobState.RUNNING)
    meanwhile = house.dispatch(repair, payload)
    with pytest.raises(UniqueKeyHeldError, match=f"got one that job {retried.id} holds"):
        dead.retry(from_step="look")

    assert (meanwhile.id, meanwhile.created) == (retried.id, False)
    assert dead.retry().id == retried.id
    payload.gate.opened.touch()
    assert meanwhile.result() == f"{payload.customer}: part"
    replayed = retried.retry(from_step="wait")
    assert house.dispatch(repair, payload).id == replayed.id
    house.wait_for(replayed)


def test_a_retry_waits_for_whoever_holds_its_key(house: House, tmp_path: Path) -> None:
    dead, payload = failed_repair(house, tmp_path)
    payload.part.touch()
    holder = house.dispatch(repair, payload)

    with pytest.raises(UniqueKeyHeldError, match=f"job {holder.id}.*; wait until .* or cancel it"):
        dead.retry()
    report = house.dispatcher.retry_many(name=repair.name)

    mine = [each for each in report.refused if each.job_id == dead.id]
    assert [each.holder_id for each in mine] == [holder.id]
    assert list(house.ledger.again(dead.id)) == []
    payload.gate.opened.touch()
    house.wait_for(holder)
    assert dead.retry().result() == f"{payload.customer}: part"


def test_an_edited_retry_holds_the_key_of_its_new_payload(house: House, tmp_path: Path) -> None:
    dead, payload = failed_repair(house, tmp_path)
    payload.part.touch()
    moved = payload.model_copy(update={"customer": house.unique("moved")})

    edited = dead.retry(payload=moved)
    for_old, for_new = (house.dispatch(repair, each) for each in (payload, moved))

    assert (for_new.id, for_old.created) == (edited.id, True)
    payload.gate.opened.touch()
    for handle in (edited, for_old):
        house.wait_for(handle)


def failed_repair(house: House, folder: Path) -> tuple[JobHandle[str], Repair]:
    gate = Gate(entered=folder / "entered", opened=folder / "opened")
    payload = Repair(customer=house.unique("acme"), part=folder / "part", gate=gate)
    dead = house.dispatch(repair, payload)
    house.wait_for(dead, JobState.FAILED)
    return dead, payload


def test_one_for_a_period_is_not_there_again_before_it_is_over(house: House) -> None:
    customer, once = house.unique("acme"), Throttle(by=BY, period=HOUR)
    note = Note(text="first", customer=customer)
    first = house.dispatch(echo, note, throttle=once)
    assert first.result() == "first"

    left_out = house.dispatch(echo, Note(text="second", customer=customer), throttle=once)

    assert (left_out.id, left_out.disposition) == (first.id, "existing")
    assert left_out.result() == "first"


def test_of_debounced_dispatches_the_last_runs(house: House) -> None:
    customer = house.unique("acme")
    periods = [HOUR, HOUR, HOUR, timedelta(milliseconds=100)]
    handles = [
        house.dispatch(
            echo,
            Note(text=str(number), customer=customer),
            debounce=Debounce(by=BY, period=period),
        )
        for number, period in enumerate(periods)
    ]

    assert len({handle.id for handle in handles}) == 1
    assert handles[0].result() == "3"
    assert house.kinds(handles[0]).count("replace") == 3
