"""`on_duplicate="replace"`: the last dispatch of a job that no attempt has begun wins."""

from datetime import timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import IdempotencyConflictError
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import MemoryApp

MINUTE = timedelta(minutes=1)
KEY = {"idempotency_key": "k", "on_duplicate": "replace"}
SECOND = Mail(user_id=8)


@pytest.fixture
def app() -> MemoryApp:
    app = MemoryApp()
    app.workers()
    return app


def test_what_is_offered_gets_another_payload_and_another_epoch(app: MemoryApp) -> None:
    first = app.dispatch(**KEY)

    second = app.dispatch(SECOND, **KEY)

    assert (first.disposition, second.disposition) == ("created", "replaced")
    assert (second.id, second.created) == (first.id, False)
    assert [(m.job_id, m.epoch) for m in app.offered(app.rq)] == [(first.id, 1), (first.id, 2)]
    assert app.work(app.rq) is None
    claim = app.work(app.rq)
    assert claim is not None
    assert claim.payload == '{"user_id":8}'
    assert "job.replace" in app.events.kinds


def test_what_waits_may_be_replaced_by_what_goes_at_once(app: MemoryApp) -> None:
    app.dispatch(delay=MINUTE, **KEY)

    replaced = app.dispatch(SECOND, **KEY)

    assert replaced.status() is JobState.OFFERED
    assert len(app.offered(app.rq)) == 1


def test_what_is_offered_may_be_put_off(app: MemoryApp) -> None:
    app.dispatch(**KEY)

    replaced = app.dispatch(SECOND, delay=MINUTE, **KEY)

    assert replaced.status() is JobState.SCHEDULED
    assert app.work(app.rq) is None


def test_what_has_begun_is_returned_as_it_is(app: MemoryApp) -> None:
    app.dispatch(**KEY)
    claim = app.work(app.rq)
    assert claim is not None

    running = app.dispatch(SECOND, **KEY)
    app.finish(claim)
    ended = app.dispatch(SECOND, **KEY)

    assert (running.disposition, ended.disposition) == ("existing", "existing")
    assert (running.id, ended.id) == (claim.job_id, claim.job_id)
    assert ended.job().payload == '{"user_id":7}'


def test_a_claim_between_the_look_and_the_change_wins(app: MemoryApp) -> None:
    app.dispatch(**KEY)
    replace = app.ledger.replace

    def claimed_meanwhile(*args: object) -> object:
        app.work(app.rq)
        return replace(*args)  # type: ignore[arg-type]  # handed on

    app.ledger.replace = claimed_meanwhile  # type: ignore[assignment,method-assign]  # once

    assert app.dispatch(SECOND, **KEY).disposition == "existing"


def test_a_job_id_names_one_kind_of_job(app: MemoryApp) -> None:
    app.dispatch(job_id="a-job")
    other = define(lambda ctx: None, name="other")

    with pytest.raises(IdempotencyConflictError, match="use another job id"):
        app.dispatcher.dispatch(other, Mail(), job_id="a-job", on_duplicate="replace")
