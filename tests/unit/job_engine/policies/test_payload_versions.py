"""Payloads of older versions are brought up to date; newer ones are left to newer workers."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.job_engine import Catalogue, Executor, JobContext, JobState, declare_job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.errors import DefinitionError, MissingHandlerError
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import MemoryApp


class Parcel(BaseModel):
    street: str
    city: str = ""
    grams: int = 0


def handler(payload: Parcel, ctx: JobContext) -> str:
    return f"{payload.street}|{payload.city}|{payload.grams}"


def parcel(version: int = 3) -> Any:
    definition = declare_job("parcel", payload=Parcel, result=str, version=version).bind(handler)
    if version > 1:
        definition.upgrade(from_version=1)(lambda old: {"street": old["address"], **old})
    if version > 2:
        definition.upgrade(from_version=2)(lambda old: {"grams": old["kg"] * 1000, **old})
    return definition


def test_a_payload_of_any_older_version_goes_through_every_upgrade_after_it() -> None:
    definition = parcel()

    assert definition.decode('{"address": "Rua 1", "kg": 2}', 1) == Parcel(
        street="Rua 1", grams=2000
    )
    assert definition.decode('{"street": "Rua 1", "kg": 2}', 2) == Parcel(
        street="Rua 1", grams=2000
    )
    assert definition.decode('{"street": "Rua 1", "grams": 5}', 3).grams == 5
    assert definition.decode('{"street": "Rua 1"}').grams == 0


@pytest.mark.parametrize("version", [0, 3, 4])
def test_an_upgrade_leads_from_an_older_version(version: int) -> None:
    with pytest.raises(
        DefinitionError,
        match=r"expected (an upgrade from a version below 3|from_version of at least 1), got",
    ):
        parcel().upgrade(from_version=version)(dict)


def test_there_is_one_upgrade_from_each_version() -> None:
    with pytest.raises(DefinitionError, match="expected one upgrade from version 2, got two"):
        parcel().upgrade(from_version=2)(dict)


def test_a_version_is_at_least_one() -> None:
    with pytest.raises(DefinitionError, match="a version from 1 to 1000000, got 0"):
        declare_job("parcel", payload=Parcel, version=0)


def test_an_upgrade_returns_a_payload() -> None:
    definition = declare_job("parcel", payload=Parcel, version=2)
    definition.upgrade(from_version=1)(lambda old: None)  # type: ignore[arg-type, return-value]

    with pytest.raises(DefinitionError, match="from version 1 to return a dict, got NoneType"):
        definition.decode("{}", 1)


def test_a_gap_between_the_versions_is_found_when_a_worker_starts() -> None:
    gappy = declare_job("gappy", payload=Parcel, version=4).bind(handler)
    gappy.upgrade(from_version=2)(dict)
    other = declare_job("other", payload=Parcel, version=2).bind(handler)

    with pytest.raises(DefinitionError, match="gappy from version 1, 3; other from version 1"):
        Catalogue([gappy, other, parcel()]).require_handlers(["default"])
    with pytest.raises(DefinitionError, match="from version 1, got none"):
        gappy.decode("{}", 1)


def test_every_job_without_a_handler_is_named() -> None:
    names = ("one", "two", "three")
    catalogue = Catalogue([*(declare_job(name, payload=Mail) for name in names), parcel()])

    with pytest.raises(MissingHandlerError, match="none for one, three, two"):
        catalogue.require_handlers(["default"])


#: What no program needs that only dispatches: engines, databases, and what the handlers import.
NOT_NEEDED = {"rq", "redis", "dramatiq", "sqlalchemy", "httpx", "httpcore", "email_validator"}
DECLARED = {
    "default.deliver_webhook": "Webhook(url='https://a.example.com', type='paid', data={})",
    "data_sync.import_csv": "CsvImport(source='a.csv', table='a', columns={'a': 'int'})",
    "scheduled.bulk_action": "BulkTurns(bulk_id='a')",
    "scheduled.prune_ledger": "Pruning()",
    # The payload checks its addresses: email_validator is its own, not the handler's.
    "default.send_email": "Email.model_fields",
    "notifications.send_notification": "Notification.model_fields",
}


@pytest.mark.parametrize("module", DECLARED)
def test_a_declaration_needs_nothing_of_what_its_handler_does(module: str) -> None:
    name = module.rpartition(".")[2]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED}))\n"
        f"from failsoft.job_engine.jobs.{module} import *\n"
        f"print({name}.name, {name}.handler, bool({DECLARED[module]}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (ran.stdout.strip(), ran.stderr) == (f"{name} None True", "")


def attempt(app: MemoryApp, definition: Any, job_id: str) -> JobState | None:
    app.clock.advance(timedelta(minutes=10))
    app.stager.tick()
    claim = app.claim(app.ledger.get(job_id))
    assert claim is not None
    executor = Executor(app.ledger, Catalogue([definition]), app.clock, app.events)
    return executor.run(claim, Lease())


def test_a_worker_that_is_too_old_leaves_the_job_to_a_newer_one() -> None:
    app = MemoryApp()
    handle = app.dispatcher.dispatch(parcel(), Parcel(street="Rua 1"), run_at=app.clock.now())

    states = {attempt(app, parcel(2), handle.id) for _ in range(15)}

    job = handle.job()
    assert states == {JobState.SCHEDULED}
    assert (job.version, job.errors, job.crashes) == (3, 0, 0)
    reported = app.ledger.events(handle.id)[-1]
    assert reported.detail["reason"] == "payload version 3, this worker knows 2"
    assert attempt(app, parcel(), handle.id) is JobState.SUCCEEDED
    assert handle.result() == "Rua 1||0"


def test_a_newer_worker_reads_what_an_older_program_dispatched() -> None:
    class Old(BaseModel):
        address: str
        kg: int

    app = MemoryApp()
    old = declare_job("parcel", payload=Old, result=str)
    handle = app.dispatcher.dispatch(old, Old(address="Rua 1", kg=2), run_at=app.clock.now())

    assert attempt(app, parcel(), handle.id) is JobState.SUCCEEDED
    assert handle.result() == "Rua 1||2000"


def test_a_retry_keeps_the_version_and_an_edited_payload_has_the_newest() -> None:
    app = MemoryApp()
    old = replace(parcel(1), retry=parcel().retry)
    handle = app.dispatcher.dispatch(old, Parcel(street="Rua 1"))
    handle.cancel()
    newest = app.dispatcher.handle(parcel(), handle.id)

    edited = newest.retry(payload=Parcel(street="Rua 2"))

    assert (handle.job().version, edited.job().version) == (1, 3)
