"""`on_duplicate="replace"`: the last dispatch of a job that nobody has begun wins."""

from datetime import timedelta

import pytest

from failsoft.job_engine.errors import IdempotencyConflictError
from failsoft.job_engine.records.states import JobState
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import House

MINUTE = timedelta(minutes=1)
KEY = {"idempotency_key": "k", "on_duplicate": "replace"}
SECOND = Mail(user_id=8)


@pytest.fixture
def house() -> House:
    house = House()
    house.workers()
    return house


def test_what_is_offered_gets_another_payload_and_another_epoch(house: House) -> None:
    first = house.dispatch(**KEY)

    second = house.dispatch(SECOND, **KEY)

    assert (first.disposition, second.disposition) == ("created", "replaced")
    assert (second.id, second.created) == (first.id, False)
    assert [(m.job_id, m.epoch) for m in house.offered(house.rq)] == [(first.id, 1), (first.id, 2)]
    assert house.work(house.rq) is None
    claim = house.work(house.rq)
    assert claim is not None
    assert claim.payload == '{"user_id":8}'
    assert "job.replace" in house.heard.kinds


def test_what_waits_may_be_replaced_by_what_goes_at_once(house: House) -> None:
    house.dispatch(delay=MINUTE, **KEY)

    replaced = house.dispatch(SECOND, **KEY)

    assert replaced.status() is JobState.OFFERED
    assert len(house.offered(house.rq)) == 1


def test_what_is_offered_may_be_put_off(house: House) -> None:
    house.dispatch(**KEY)

    replaced = house.dispatch(SECOND, delay=MINUTE, **KEY)

    assert replaced.status() is JobState.SCHEDULED
    assert house.work(house.rq) is None


def test_what_has_begun_is_returned_as_it_is(house: House) -> None:
    house.dispatch(**KEY)
    claim = house.work(house.rq)
    assert claim is not None

    running = house.dispatch(SECOND, **KEY)
    house.finish(claim)
    ended = house.dispatch(SECOND, **KEY)

    assert (running.disposition, ended.disposition) == ("existing", "existing")
    assert (running.id, ended.id) == (claim.job_id, claim.job_id)
    assert ended.job().payload == '{"user_id":7}'


def test_a_claim_between_the_look_and_the_change_wins(house: House) -> None:
    house.dispatch(**KEY)
    replace = house.ledger.replace

    def claimed_meanwhile(*args: object) -> object:
        house.work(house.rq)
        return replace(*args)  # type: ignore[arg-type]  # handed on

    house.ledger.replace = claimed_meanwhile  # type: ignore[assignment,method-assign]  # once

    assert house.dispatch(SECOND, **KEY).disposition == "existing"


def test_a_job_id_names_one_kind_of_job(house: House) -> None:
    house.dispatch(job_id="a-job")
    other = define(lambda ctx: None, name="other")

    with pytest.raises(IdempotencyConflictError, match="use another job id"):
        house.dispatcher.dispatch(other, Mail(), job_id="a-job", on_duplicate="replace")
