"""A payload that its job cannot read costs no attempt: the job waits for a person, and says why."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from failsoft.job_engine import JobContext, JobState, NonRetryableError, declare_job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.errors import LedgerUnavailableError
from tests.unit.support.attempts import RETRY, AttemptRunner


class Parcel(BaseModel):
    street: str
    city: str
    grams: int = 0

    @field_validator("grams")
    @classmethod
    def _weigh(cls, grams: int) -> int:
        if grams == 13:
            raise KeyError("hunter2-canary")
        return grams


def handler(payload: Parcel, ctx: JobContext) -> str:
    return payload.city


def run(
    payload: str, version: int = 1, **upgrade: Callable[[dict[str, Any]], Any]
) -> AttemptRunner:
    """Run one attempt of a job with a payload as the ledger holds it."""
    runner = AttemptRunner()
    newest = 2 if upgrade else 1
    definition = declare_job("welcome", payload=Parcel, result=str, version=newest, retry=RETRY)
    for upcaster in upgrade.values():
        definition.upgrade(from_version=1)(upcaster)
    runner.definitions = [definition.bind(handler)]
    claim = replace(runner.claim(), payload=payload, version=version)
    runner.executor.run(claim, Lease())
    return runner


def raises(error: Exception) -> Callable[[dict[str, Any]], Any]:
    def upcaster(old: dict[str, Any]) -> Any:
        raise error

    return upcaster


@pytest.mark.parametrize(
    ("payload", "differs"),
    [
        ('{"street": "Rua 1"}', "city: Field required"),
        ('{"street": 5, "city": "Porto"}', "street: Input should be a valid string"),
        ('{"street": "Rua 1", "city": "Porto", "grams": "hunter2-canary"}', "grams: Input should"),
        ('{"street": "Rua 1", "city": "Porto", "grams": 13}', "KeyError was raised"),
        ('["hunter2-canary"]', "payload: Input should be an object"),
        ("hunter2-canary", "payload: Invalid JSON"),
    ],
)
def test_it_is_held_and_the_reason_names_what_differs(payload: str, differs: str) -> None:
    runner = run(payload)
    *_, held = runner.ledger.events(runner.job_id)

    assert (runner.state, runner.job.errors) == (JobState.HELD, 0)
    assert runner.job.error is not None
    assert runner.job.error.type.endswith("PayloadInvalidError")
    assert f"cannot be read as Parcel: {differs}"[:60] in f"{held.detail['reason']}".replace(
        "expected a payload that fits Parcel, got: ", ""
    )
    assert "hunter2" not in f"{runner.job.error.message} {held.detail}"


@pytest.mark.parametrize(
    "upcaster", [raises(KeyError("address")), lambda old: None, lambda old: {}]
)
def test_it_is_held_if_an_upgrade_does_not_make_one_that_fits(
    upcaster: Callable[[dict[str, Any]], Any],
) -> None:
    runner = run('{"address": "Rua 1"}', upgrade=upcaster)

    assert (runner.state, runner.job.errors) == (JobState.HELD, 0)
    assert runner.job.error is not None
    assert "upgraded from version 1 to 2" in runner.job.error.message


def test_an_upgrade_may_say_itself_that_the_job_fails() -> None:
    runner = run('{"address": "Rua 1"}', upgrade=raises(NonRetryableError("moved away")))

    assert runner.state is JobState.FAILED


def test_a_ledger_that_is_away_is_no_payload_that_does_not_fit() -> None:
    runner = run('{"address": "Rua 1"}', upgrade=raises(LedgerUnavailableError("away")))

    assert (runner.state, runner.job.releases) == (JobState.SCHEDULED, 1)
