"""A refusal concerns the queue that was refused; an outage concerns the engine."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.breaker import RELAPSE
from failsoft.job_engine import QueueProfile
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    ConfigurationError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
)
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.message import KeyRing
from tests.unit.support.memory_app import MemoryApp

SECOND = timedelta(seconds=1)
MAIL = QueueProfile("mail", pickup=timedelta(seconds=10))


def offer(app: MemoryApp, queue: QueueProfile) -> EngineError | None:
    message = KeyRing(app.ledger.signing_keys, app.clock).sign("job-1", 1, "rq")
    try:
        app.engines.offer("rq", message, queue, Deadline.after(app.clock, SECOND))
    except EngineError as error:
        return error
    return None


def offered_many(app: MemoryApp, queue: QueueProfile) -> None:
    message = KeyRing(app.ledger.signing_keys, app.clock).sign("job-1", 1, "rq")
    app.engines.offer_many("rq", [message] * 3, queue, Deadline.after(app.clock, SECOND))


def probe(app: MemoryApp, times: int = 5) -> None:
    for _ in range(times):
        app.clock.advance(2 * SECOND)
        app.engines.check()


def order(app: MemoryApp, queue: str) -> tuple[str, ...]:
    return app.route(queue).order


@pytest.mark.parametrize("offering", [offer, offered_many])
@pytest.mark.parametrize("error", [None, ConfigurationError("mail is a stream; delete it")])
def test_a_queue_that_is_refused_leaves_the_engine_to_the_others(
    offering: object, error: ConfigurationError | None
) -> None:
    app = MemoryApp()
    app.rq.refuse(MAIL)
    if error is not None:
        app.rq.fail_next(error)

    (offer if offering is offer else offered_many)(app, MAIL)

    assert order(app, "mail") == ("dramatiq",)
    assert order(app, "default") == ("rq", "dramatiq")
    assert offer(app, DEFAULT) is None
    (event,) = app.events
    assert (event.kind, event.engine, event.queue) == ("engine.queue_refused", "rq", "mail")


def test_the_reason_stands_in_the_explanation() -> None:
    app = MemoryApp()
    app.rq.refuse(MAIL, OfferRefusedError("the queue is full"))
    offer(app, MAIL)

    (skipped,) = app.route("mail").skipped

    assert (skipped.stage, skipped.reason) == ("breaker", "the queue is full")


def test_a_queue_that_takes_offers_again_gets_them() -> None:
    app = MemoryApp()
    app.rq.refuse(MAIL)
    offer(app, MAIL)
    probe(app)
    assert order(app, "mail") == ("dramatiq",)

    app.rq.up()
    probe(app)

    assert order(app, "mail") == ("rq", "dramatiq")
    assert app.events.kinds == ["engine.queue_refused", "engine.queue_accepted"]


@pytest.mark.parametrize("error", [EngineRefusedError("OOM"), EngineUnavailableError("away")])
def test_an_engine_that_takes_nothing_is_left_by_every_queue(error: EngineError) -> None:
    app = MemoryApp()
    app.rq.down(error)
    offer(app, MAIL)

    assert order(app, "mail") == order(app, "default") == ("dramatiq",)
    assert app.events.kinds == ["engine.failed_over"]


def test_an_engine_is_probed_with_the_queue_that_failed() -> None:
    app = MemoryApp()
    app.rq.refuse(DEFAULT, OfferRefusedError("no right to it"))
    app.rq.down()
    offer(app, MAIL)
    app.rq._outage = None

    probe(app)

    assert order(app, "mail") == ("rq", "dramatiq")


def test_an_engine_that_answers_with_a_refusal_is_back_for_the_other_queues() -> None:
    app = MemoryApp()
    app.rq.down()
    offer(app, MAIL)
    app.rq.up()
    app.rq.refuse(MAIL)

    probe(app)

    assert order(app, "default") == ("rq", "dramatiq")
    assert order(app, "mail") == ("dramatiq",)


def test_what_a_full_queue_has_taken_is_not_given_up() -> None:
    app = MemoryApp()
    app.worker("rq", "mail")
    app.rq.refuse(MAIL)
    offer(app, MAIL)

    assert app.router.is_alive("rq", "mail")
    assert not app.router.serves("rq", "mail")


def test_a_queue_whose_probes_see_nothing_is_tried_less_and_less_often() -> None:
    app = MemoryApp()
    pauses = list[float]()

    for _ in range(5):
        app.engines.refused("rq", "full", MAIL)
        began = app.clock.steady()
        while order(app, "mail") == ("dramatiq",):
            app.clock.advance(SECOND / 2)
            app.engines.check()
        pauses.append(app.clock.steady() - began)

    assert pauses == sorted(pauses)
    assert 2 * pauses[0] < pauses[3] == pytest.approx(pauses[4], abs=3)
    app.clock.advance(2 * RELAPSE)
    app.engines.refused("rq", "full", MAIL)
    probe(app, 3)
    assert order(app, "mail") == ("rq", "dramatiq")
