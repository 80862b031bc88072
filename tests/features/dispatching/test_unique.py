"""`unique`, `throttle` and `debounce`: what runs of many dispatches that mean the same."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.dispatcher import DispatchOptions, JobHandle
from failsoft.job_engine import Debounce, JobState, Throttle, Unique
from failsoft.job_engine.errors import UniqueKeyHeldError
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.cancel import Gate, gated
from tests.features.jobs.control.control import Parcel, control_parcel
from tests.features.jobs.dispatching.dispatch_options import Note, echo
from tests.features.jobs.dispatching.unique import Repair, repair
from tests.servers.processes import PATIENCE, wait_until

HOUR = timedelta(hours=1)
BY = ("customer",)
BY_STAMP = ("stamp",)


def test_a_unique_job_is_there_once_until_it_has_ended(deployment: EngineDeployment) -> None:
    customer, one = deployment.unique("acme"), Unique(by=BY)

    def dispatch(number: int) -> JobHandle[str]:
        note = Note(text=str(number), customer=customer)
        return deployment.dispatch(echo, note, unique=one, delay=HOUR)

    with ThreadPoolExecutor(4) as threads:
        handles = list(threads.map(dispatch, range(8)))

    assert len({handle.id for handle in handles}) == 1
    assert [handle.created for handle in handles].count(True) == 1
    handles[0].cancel()
    assert dispatch(9).created


def test_a_key_is_free_when_its_job_has_ended(deployment: EngineDeployment, tmp_path: Path) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    one = Unique(by=("entered",))
    first = deployment.dispatch(gated, gate, unique=one)
    deployment.wait_for(first, JobState.RUNNING)
    assert deployment.dispatch(gated, gate, unique=one).id == first.id

    gate.opened.touch()
    deployment.wait_for(first)

    again = deployment.dispatch(gated, gate, unique=one)
    assert (again.created, again.id != first.id) == (True, True)
    deployment.wait_for(again)


def test_a_key_is_free_when_its_job_has_failed(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    parcel, one = Parcel(number=7, stamp=tmp_path / "stamp"), Unique(by=BY_STAMP)
    first = deployment.dispatch(control_parcel, parcel, unique=one)
    deployment.wait_for(first, JobState.FAILED)

    again = deployment.dispatch(control_parcel, parcel, unique=one)

    assert again.created
    deployment.wait_for(again, JobState.FAILED)


def test_a_job_unique_for_a_period_holds_its_key_when_it_has_ended(
    deployment: EngineDeployment,
) -> None:
    customer, once = deployment.unique("acme"), Unique(by=BY, period=HOUR)
    first = deployment.dispatch(echo, Note(text="first", customer=customer), unique=once)
    assert first.result() == "first"

    again = deployment.dispatch(echo, Note(text="second", customer=customer), unique=once)
    other = deployment.dispatch(echo, Note(text="other", customer=customer + "-2"), unique=once)

    assert (again.id, again.disposition, again.result()) == (first.id, "existing", "first")
    assert (other.disposition, other.result()) == ("created", "other")


def test_a_key_is_free_when_its_period_is_over(deployment: EngineDeployment) -> None:
    note, period = Note(customer=deployment.unique("acme")), timedelta(milliseconds=300)

    def dispatch() -> JobHandle[str]:
        return deployment.dispatch(echo, note, unique=Unique(by=BY, period=period))

    first = dispatch()
    wait_until(lambda: dispatch().created, PATIENCE, "the period is over")

    mine = [
        job for job in deployment.ledger.list_jobs(name=echo.name) if note.customer in job.payload
    ]
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
    deployment: EngineDeployment, tmp_path: Path, identity: DispatchOptions
) -> None:
    parcel = Parcel(number=7, stamp=tmp_path / "stamp")
    dead = deployment.dispatch(control_parcel, parcel, **identity)
    deployment.wait_for(dead, JobState.FAILED)
    parcel.stamp.touch()

    retried = dead.retry()

    assert retried.id != dead.id
    assert retried.result() == ["70 g", f"{dead.id}:send"]
    again = deployment.dispatch(control_parcel, parcel, **identity)
    assert again.created == (identity.get("unique") == Unique(by=BY_STAMP))


def test_a_retry_holds_the_key_of_its_dead_letter_while_it_runs(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    dead, payload = failed_repair(deployment, tmp_path)
    payload.part.touch()

    retried = dead.retry()
    deployment.wait_for(retried, JobState.RUNNING)
    meanwhile = deployment.dispatch(repair, payload)
    with pytest.raises(UniqueKeyHeldError, match=f"got one that job {retried.id} holds"):
        dead.retry(from_step="look")

    assert (meanwhile.id, meanwhile.created) == (retried.id, False)
    assert dead.retry().id == retried.id
    payload.gate.opened.touch()
    assert meanwhile.result() == f"{payload.customer}: part"
    replayed = retried.retry(from_step="wait")
    assert deployment.dispatch(repair, payload).id == replayed.id
    deployment.wait_for(replayed)


def test_a_retry_waits_for_the_job_that_holds_its_key(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    dead, payload = failed_repair(deployment, tmp_path)
    payload.part.touch()
    holder = deployment.dispatch(repair, payload)

    with pytest.raises(UniqueKeyHeldError, match=f"job {holder.id}.*; wait until .* or cancel it"):
        dead.retry()
    report = deployment.dispatcher.retry_many(name=repair.name)

    mine = [each for each in report.refused if each.job_id == dead.id]
    assert [each.holder_id for each in mine] == [holder.id]
    assert list(deployment.ledger.again(dead.id)) == []
    payload.gate.opened.touch()
    deployment.wait_for(holder)
    assert dead.retry().result() == f"{payload.customer}: part"


def test_an_edited_retry_holds_the_key_of_its_new_payload(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    dead, payload = failed_repair(deployment, tmp_path)
    payload.part.touch()
    moved = payload.model_copy(update={"customer": deployment.unique("moved")})

    edited = dead.retry(payload=moved)
    for_old, for_new = (deployment.dispatch(repair, each) for each in (payload, moved))

    assert (for_new.id, for_old.created) == (edited.id, True)
    payload.gate.opened.touch()
    for handle in (edited, for_old):
        deployment.wait_for(handle)


def failed_repair(deployment: EngineDeployment, folder: Path) -> tuple[JobHandle[str], Repair]:
    gate = Gate(entered=folder / "entered", opened=folder / "opened")
    payload = Repair(customer=deployment.unique("acme"), part=folder / "part", gate=gate)
    dead = deployment.dispatch(repair, payload)
    deployment.wait_for(dead, JobState.FAILED)
    return dead, payload


def test_one_for_a_period_is_not_there_again_before_it_is_over(
    deployment: EngineDeployment,
) -> None:
    customer, once = deployment.unique("acme"), Throttle(by=BY, period=HOUR)
    note = Note(text="first", customer=customer)
    first = deployment.dispatch(echo, note, throttle=once)
    assert first.result() == "first"

    left_out = deployment.dispatch(echo, Note(text="second", customer=customer), throttle=once)

    assert (left_out.id, left_out.disposition) == (first.id, "existing")
    assert left_out.result() == "first"


def test_of_debounced_dispatches_the_last_runs(deployment: EngineDeployment) -> None:
    customer = deployment.unique("acme")
    periods = [HOUR, HOUR, HOUR, timedelta(milliseconds=100)]
    handles = [
        deployment.dispatch(
            echo,
            Note(text=str(number), customer=customer),
            debounce=Debounce(by=BY, period=period),
        )
        for number, period in enumerate(periods)
    ]

    assert len({handle.id for handle in handles}) == 1
    assert handles[0].result() == "3"
    assert deployment.kinds(handles[0]).count("replace") == 3
