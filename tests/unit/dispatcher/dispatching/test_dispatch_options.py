"""The options of a dispatch: what they do, and what is refused before anything is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import (
    DispatchError,
    DuplicateDispatchError,
    IdempotencyConflictError,
    JobIdInvalidError,
    OptionInvalidError,
    PayloadInvalidError,
    PayloadTooLargeError,
)
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import FAIL
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import MemoryApp

SECOND = timedelta(seconds=1)


class Note(Mail):
    text: str = ""


def is_untouched(app: MemoryApp) -> bool:
    messages = app.offered(app.rq) + app.offered(app.dramatiq)
    return not (app.ledger.counts() or messages or app.events)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"idempotency_key": ""}, "1 to 255 characters"),
        ({"idempotency_key": "k" * 256}, "1 to 255 characters"),
        ({"delay": -SECOND}, "zero or more"),
        ({"delay": SECOND, "run_at": datetime(2999, 1, 1, tzinfo=UTC)}, "a delay or a run_at"),
        ({"run_at": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is the case
        ({"priority": 101}, "-100 to 100"),
        ({"priority": -101}, "-100 to 100"),
        ({"budget": timedelta(0)}, "budget above zero"),
        ({"pickup": timedelta(0)}, "pickup deadline above zero"),
        ({"on_duplicate": "keep"}, "return_existing, raise or replace"),
        ({"confirm": "claimed"}, "engine or pickup"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_refused_and_nothing_is_stored(
    options: dict[str, Any], expected: str
) -> None:
    app = MemoryApp()

    with pytest.raises(OptionInvalidError, match=expected):
        app.dispatch(**options)

    assert is_untouched(app)


@pytest.mark.parametrize("job_id", ["", "a b", "a/b", "../x", "ž", "a" * 65, "a\n", "a:b"])
def test_an_id_that_an_engine_could_not_carry_is_refused(job_id: str) -> None:
    app = MemoryApp()

    with pytest.raises(JobIdInvalidError):
        app.dispatch(job_id=job_id)

    assert is_untouched(app)


def test_a_payload_of_another_job_is_refused() -> None:
    app, other = MemoryApp(), define(lambda ctx: None)

    with pytest.raises(PayloadInvalidError):
        app.dispatcher.dispatch(other, object())  # type: ignore[type-var]

    assert is_untouched(app)


def test_a_payload_that_is_too_large_is_refused() -> None:
    app = MemoryApp()

    with pytest.raises(PayloadTooLargeError):
        app.dispatch(Note(text="x" * MAX_PAYLOAD_BYTES))

    assert is_untouched(app)


def test_a_job_that_only_a_switched_off_engine_may_run_is_refused() -> None:
    app = MemoryApp(disabled=["rq"])

    with pytest.raises(OptionInvalidError, match="USE_RQ"):
        app.dispatch(engines=["rq"])

    assert is_untouched(app)


def test_a_job_that_names_an_engine_which_is_not_there_is_refused() -> None:
    app = MemoryApp()

    with pytest.raises(OptionInvalidError, match="kafka"):
        app.dispatch(engines=["kafka"])

    assert is_untouched(app)


def test_every_refusal_is_a_dispatch_error() -> None:
    with pytest.raises(DispatchError):
        MemoryApp().dispatch(priority=1000)


def test_a_job_gets_an_id_of_its_own_and_newer_ids_come_later() -> None:
    app = MemoryApp()
    first = app.dispatch().id
    app.clock.advance(SECOND)

    second = app.dispatch().id

    assert first < second


def test_a_job_may_be_given_its_id() -> None:
    app = MemoryApp()

    handle = app.dispatch(job_id="welcome-7")

    assert (handle.id, handle.status()) == ("welcome-7", JobState.OFFERED)


def test_priority_and_tags_are_kept() -> None:
    app = MemoryApp()
    definition = define(lambda ctx: None, tags=("mail",), priority=3)

    plain = app.dispatcher.dispatch(definition, Mail()).job()
    changed = app.dispatcher.dispatch(definition, Mail(), priority=-5, tags=["vip"]).job()

    assert (plain.priority, plain.tags) == (3, ("mail",))
    assert (changed.priority, changed.tags) == (-5, ("mail", "vip"))


def test_the_same_key_makes_one_job_and_one_message() -> None:
    app = MemoryApp()
    first = app.dispatch(idempotency_key="welcome-7")

    again = app.dispatch(idempotency_key="welcome-7")

    assert (again.id, first.created, again.created) == (first.id, True, False)
    assert len(app.offered(app.rq)) == 1
    assert app.events.kinds == ["job.dispatch"]


def test_the_same_key_finds_a_job_that_has_ended() -> None:
    app = MemoryApp()
    first = app.dispatch(idempotency_key="welcome-7")
    claim = app.work(app.rq)
    assert claim is not None
    app.finish(claim)

    again = app.dispatch(idempotency_key="welcome-7")

    assert (again.id, again.status()) == (first.id, JobState.SUCCEEDED)


def test_the_same_key_with_another_payload_is_refused() -> None:
    app = MemoryApp()
    app.dispatch(Mail(user_id=1), idempotency_key="welcome")

    with pytest.raises(IdempotencyConflictError, match="dispatched with, got another"):
        app.dispatch(Mail(user_id=2), idempotency_key="welcome")


def test_the_same_key_of_another_job_is_another_job() -> None:
    app = MemoryApp()
    first = app.dispatch(idempotency_key="7")

    other = app.dispatcher.dispatch(
        define(lambda ctx: None, name="bill"), Mail(), idempotency_key="7"
    )

    assert (other.id == first.id, other.created) == (False, True)


def test_a_used_key_may_be_an_error() -> None:
    app = MemoryApp()
    first = app.dispatch(idempotency_key="welcome-7")

    with pytest.raises(DuplicateDispatchError, match=first.id):
        app.dispatch(idempotency_key="welcome-7", on_duplicate="raise")


def test_an_unused_key_is_no_error() -> None:
    assert MemoryApp().dispatch(idempotency_key="welcome-7", on_duplicate="raise").created


@pytest.mark.parametrize("state", ["offered", "running", "failed"])
def test_the_same_id_with_another_payload_is_refused(state: str) -> None:
    app = MemoryApp()
    app.dispatch(Mail(user_id=1), job_id="welcome-7")
    claim = app.work(app.rq) if state != "offered" else None
    if claim is not None and state == "failed":
        app.ledger.conclude(claim, Conclusion(FAIL))

    with pytest.raises(IdempotencyConflictError):
        app.dispatch(Mail(user_id=2), job_id="welcome-7")


def test_the_same_id_of_another_job_is_refused() -> None:
    app = MemoryApp()
    app.dispatch(job_id="welcome-7")

    with pytest.raises(IdempotencyConflictError):
        app.dispatcher.dispatch(define(lambda ctx: None, name="bill"), Mail(), job_id="welcome-7")


def test_the_same_id_again_may_be_an_error() -> None:
    app = MemoryApp()
    app.dispatch(job_id="welcome-7")

    with pytest.raises(DuplicateDispatchError):
        app.dispatch(job_id="welcome-7", on_duplicate="raise")


def test_the_same_id_again_makes_no_second_job() -> None:
    app = MemoryApp()
    first = app.dispatch(job_id="welcome-7")

    again = app.dispatch(job_id="welcome-7")

    assert (again.id, again.job()) == (first.id, first.job())


def test_a_dispatch_that_waits_for_the_pickup_returns_when_the_job_is_claimed() -> None:
    app = MemoryApp()
    app.rq.meanwhile = lambda deadline: app.work(app.rq)

    handle = app.dispatch(confirm="pickup")

    assert handle.dispatched.state is JobState.RUNNING


def test_a_job_that_is_not_picked_up_is_handed_over_by_the_dispatch_itself() -> None:
    app = MemoryApp()
    app.dramatiq.meanwhile = lambda deadline: app.work(app.dramatiq)

    handle = app.dispatch(confirm="pickup", pickup=timedelta(seconds=3))

    job = handle.dispatched
    assert (job.state, job.engine, job.epoch) == (JobState.RUNNING, "dramatiq", 2)
    assert sum(app.clock.slept) == pytest.approx(3, abs=0.5)


def test_a_job_that_is_not_picked_up_anywhere_is_left_to_the_rescuers() -> None:
    app = MemoryApp()

    handle = app.dispatch(confirm="pickup", pickup=timedelta(seconds=3))

    job = handle.dispatched
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "dramatiq", 2)
    assert sum(app.clock.slept) == pytest.approx(6, abs=0.5)


def test_a_job_that_was_cancelled_while_its_pickup_was_awaited_is_not_handed_over() -> None:
    app = MemoryApp()
    app.rq.meanwhile = lambda deadline: app.ledger.cancel("job-1", "ada")

    handle = app.dispatch(confirm="pickup", job_id="job-1")

    assert handle.dispatched.state is JobState.CANCELLED
    assert app.offered(app.dramatiq) == []


def test_the_pickup_deadline_is_what_the_dispatch_says() -> None:
    app = MemoryApp()

    job = app.dispatch(pickup=timedelta(seconds=42)).job()

    assert job.pickup_by == app.clock.now() + timedelta(seconds=42)
