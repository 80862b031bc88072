"""A refusal concerns the queue that was refused; an outage concerns the engine."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.breaker import RELAPSE
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    ConfigurationError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
)
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile
from failsoft.job_engine.records.message import KeyRing
from tests.unit.support.memory_app import House

SECOND = timedelta(seconds=1)
MAIL = QueueProfile("mail", pickup=timedelta(seconds=10))


def offer(house: House, queue: QueueProfile) -> EngineError | None:
    message = KeyRing(house.ledger.signing_keys, house.clock).sign("job-1", 1, "rq")
    try:
        house.engines.offer("rq", message, queue, Deadline.after(house.clock, SECOND))
    except EngineError as error:
        return error
    return None


def offered_many(house: House, queue: QueueProfile) -> None:
    message = KeyRing(house.ledger.signing_keys, house.clock).sign("job-1", 1, "rq")
    house.engines.offer_many("rq", [message] * 3, queue, Deadline.after(house.clock, SECOND))


def probe(house: House, times: int = 5) -> None:
    for _ in range(times):
        house.clock.advance(2 * SECOND)
        house.engines.check()


def order(house: House, queue: str) -> tuple[str, ...]:
    return house.router.route(queue).order


@pytest.mark.parametrize("offering", [offer, offered_many])
@pytest.mark.parametrize("error", [None, ConfigurationError("mail is a stream; delete it")])
def test_a_queue_that_is_refused_leaves_the_engine_to_the_others(
    offering: object, error: ConfigurationError | None
) -> None:
    house = House()
    house.rq.refuse(MAIL)
    if error is not None:
        house.rq.fail_next(error)

    (offer if offering is offer else offered_many)(house, MAIL)

    assert order(house, "mail") == ("dramatiq",)
    assert order(house, "default") == ("rq", "dramatiq")
    assert offer(house, DEFAULT) is None
    (event,) = house.heard
    assert (event.kind, event.engine, event.queue) == ("engine.queue_refused", "rq", "mail")


def test_the_reason_stands_in_the_explanation() -> None:
    house = House()
    house.rq.refuse(MAIL, OfferRefusedError("the queue is full"))
    offer(house, MAIL)

    (skipped,) = house.router.route("mail").skipped

    assert (skipped.stage, skipped.reason) == ("breaker", "the queue is full")


def test_a_queue_that_takes_offers_again_gets_them() -> None:
    house = House()
    house.rq.refuse(MAIL)
    offer(house, MAIL)
    probe(house)
    assert order(house, "mail") == ("dramatiq",)

    house.rq.up()
    probe(house)

    assert order(house, "mail") == ("rq", "dramatiq")
    assert house.heard.kinds == ["engine.queue_refused", "engine.queue_accepted"]


@pytest.mark.parametrize("error", [EngineRefusedError("OOM"), EngineUnavailableError("away")])
def test_an_engine_that_takes_nothing_is_left_by_every_queue(error: EngineError) -> None:
    house = House()
    house.rq.down(error)
    offer(house, MAIL)

    assert order(house, "mail") == order(house, "default") == ("dramatiq",)
    assert house.heard.kinds == ["engine.failed_over"]


def test_an_engine_is_probed_with_the_queue_that_failed() -> None:
    house = House()
    house.rq.refuse(DEFAULT, OfferRefusedError("no right to it"))
    house.rq.down()
    offer(house, MAIL)
    house.rq._outage = None

    probe(house)

    assert order(house, "mail") == ("rq", "dramatiq")


def test_an_engine_that_answers_with_a_refusal_is_back_for_the_other_queues() -> None:
    house = House()
    house.rq.down()
    offer(house, MAIL)
    house.rq.up()
    house.rq.refuse(MAIL)

    probe(house)

    assert order(house, "default") == ("rq", "dramatiq")
    assert order(house, "mail") == ("dramatiq",)


def test_what_a_full_queue_has_taken_is_not_given_up() -> None:
    house = House()
    house.worker("rq", "mail")
    house.rq.refuse(MAIL)
    offer(house, MAIL)

    assert house.router.is_alive("rq", "mail")
    assert not house.router.serves("rq", "mail")


def test_a_queue_whose_probes_see_nothing_is_tried_less_and_less_often() -> None:
    house = House()
    pauses = list[float]()

    for _ in range(5):
        house.engines.refused("rq", "full", MAIL)
        began = house.clock.steady()
        while order(house, "mail") == ("dramatiq",):
            house.clock.advance(SECOND / 2)
            house.engines.check()
        pauses.append(house.clock.steady() - began)

    assert pauses == sorted(pauses)
    assert 2 * pauses[0] < pauses[3] == pytest.approx(pauses[4], abs=3)
    house.clock.advance(2 * RELAPSE)
    house.engines.refused("rq", "full", MAIL)
    probe(house, 3)
    assert order(house, "mail") == ("rq", "dramatiq")
