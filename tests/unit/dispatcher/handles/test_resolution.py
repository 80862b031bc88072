"""A person resolves what is held: once, and only what they saw."""

from collections.abc import Callable
from typing import Any

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState, declare_job
from failsoft.job_engine.errors import (
    JobFailedError,
    JobStateError,
    ResultInvalidError,
    StepError,
)
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.resolution import json_text
from failsoft.job_engine.records.states import HOLD, SUCCEED
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import MemoryApp

COUNT = declare_job("count", payload=Mail, result=int)
DOUBT = StepRecord("pay", 0, StepKind.INTENT, "null")
ERROR = ErrorRecord("StepInDoubtError", "step 'pay' may have taken effect", "Traceback ...")


def held(app: MemoryApp) -> JobHandle[int]:
    handle = app.dispatcher.dispatch(COUNT, Mail())
    claim = app.claim(handle.job())
    assert claim is not None
    app.ledger.record(claim, DOUBT)
    app.ledger.conclude(claim, Conclusion(HOLD, error=ERROR))
    return handle


def test_a_job_that_goes_on_is_offered_at_the_next_look() -> None:
    app = MemoryApp()
    handle = held(app)

    handle.resume(reason="the bank has no record", actor="ada")
    app.stager.tick()

    assert handle.status() is JobState.OFFERED
    assert handle.job().epoch == 2


def test_a_result_that_a_person_gives_is_the_jobs() -> None:
    app = MemoryApp()
    handle = held(app)

    handle.accept(7)

    assert handle.result() == 7


def test_a_job_that_is_given_up_fails_with_the_error_it_was_held_for() -> None:
    app = MemoryApp()
    handle = held(app)

    handle.abandon()

    with pytest.raises(JobFailedError, match="may have taken effect") as caught:
        handle.result()
    assert caught.value.traceback == "Traceback ..."


def test_a_result_of_another_type_is_refused() -> None:
    app = MemoryApp()
    handle = held(app)

    with pytest.raises(ResultInvalidError, match="got str"):
        handle.accept("seven")  # type: ignore[arg-type]

    assert handle.status() is JobState.HELD


DECISIONS: list[Callable[[JobHandle[Any]], object]] = [
    lambda handle: handle.resume(reason="why"),
    lambda handle: handle.resume(done={"pay": "paid"}),
    lambda handle: handle.accept(7),
    lambda handle: handle.abandon(reason="why"),
]


@pytest.mark.parametrize("decide", DECISIONS)
def test_saying_it_again_is_harmless(decide: Callable[[JobHandle[Any]], object]) -> None:
    app = MemoryApp()
    handle = held(app)
    first = decide(handle)
    events = list(app.ledger.events(handle.id))

    assert decide(handle) == first
    assert list(app.ledger.events(handle.id)) == events


@pytest.mark.parametrize("decide", DECISIONS)
def test_a_reply_that_was_lost_is_found_when_it_is_said_again(
    decide: Callable[[JobHandle[Any]], object],
) -> None:
    app = MemoryApp()
    handle = held(app)
    before = handle.job()

    def lose_the_reply() -> None:
        seen, app.ledger.get = app.ledger.get, lambda job_id: before  # type: ignore[method-assign]
        decide(handle)
        app.ledger.get = seen  # type: ignore[method-assign]

    lose_the_reply()
    decide(handle)

    kinds = [event.kind for event in app.ledger.events(handle.id)]
    assert len([kind for kind in kinds if kind in {"resume", "accept", "abandon"}]) == 1


@pytest.mark.parametrize("decide", DECISIONS)
def test_another_decision_comes_too_late(decide: Callable[[JobHandle[Any]], object]) -> None:
    app = MemoryApp()
    handle = held(app)
    decide(handle)

    for other in DECISIONS:
        if other is not decide:
            with pytest.raises(JobStateError, match=f"job {handle.id} to be held, got one that is"):
                other(handle)


def test_a_job_that_is_not_held_is_left_alone() -> None:
    app = MemoryApp()
    handle = app.dispatcher.dispatch(COUNT, Mail())
    claim = app.claim(handle.job())
    assert claim is not None

    with pytest.raises(JobStateError, match="running at epoch 1"):
        handle.resume()

    app.ledger.conclude(claim, Conclusion(SUCCEED, result="7"))
    with pytest.raises(JobStateError, match="succeeded"):
        handle.accept(8)
    assert handle.result() == 7


def test_only_a_step_in_doubt_can_be_said_to_be_done() -> None:
    app = MemoryApp()
    handle = held(app)

    with pytest.raises(StepError, match=r"in doubt \(pay\), got ship"):
        handle.resume(done={"ship": None})
    with pytest.raises(ResultInvalidError, match="step 'pay'"):
        handle.resume(done={"pay": object()})

    assert handle.status() is JobState.HELD


def test_a_result_that_a_person_types_is_json() -> None:
    assert json_text(' {"a": 1} ') == '{"a":1}'
    for wrong in ("", "yes", "{'a': 1}", "NaN"):
        with pytest.raises((StepError, ResultInvalidError)):
            json_text(wrong)
