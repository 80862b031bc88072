"""The engines of one process: breakers, probes, and the events of a change."""

import threading
from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, DirectCaller
from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.dispatcher.offering.engines import Engine, EngineSet
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.testing import FrozenClock, MemoryEngine
from failsoft.testing.engine_suite.stopwatch import Stopwatch
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.support.attempts import Heard
from tests.unit.support.memory_app import POLICY, House

SECOND = timedelta(seconds=1)


class HangingEngine(MemoryEngine):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__("rq")
        self.open = threading.Event()

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        self.open.wait(PATIENCE)
        return super().probe(queue, deadline)


def offer(house: House, engine: str) -> None:
    message = KeyRing(house.ledger.signing_keys, house.clock).sign("job-1", 1, engine)
    house.engines.offer(engine, message, DEFAULT, Deadline.after(house.clock, SECOND))


def test_an_offer_reaches_the_engine_it_is_meant_for() -> None:
    house = House()

    offer(house, "dramatiq")

    assert (len(house.offered(house.rq)), len(house.offered(house.dramatiq))) == (0, 1)


def test_a_failed_offer_opens_the_breaker_and_is_raised() -> None:
    house = House()
    house.rq.down(OfferUncertainError("timed out"))

    with pytest.raises(OfferUncertainError):
        offer(house, "rq")

    assert house.engines.breaker("rq").is_open
    assert not house.engines.breaker("dramatiq").is_open


def test_a_change_is_told_once_with_its_reason() -> None:
    house = House()
    house.rq.down(EngineUnavailableError("connection refused"))

    for _ in range(3):
        with pytest.raises(EngineUnavailableError):
            offer(house, "rq")

    (event,) = house.heard
    assert (event.kind, event.engine) == ("engine.failed_over", "rq")
    assert event.detail == {"reason": "connection refused", "to": "dramatiq"}


def test_what_no_engine_takes_goes_to_the_ledger() -> None:
    house = House()

    for engine in ("rq", "dramatiq"):
        house.engines.failed(engine, "away")

    assert [event.detail["to"] for event in house.heard] == ["dramatiq", "the ledger"]


def test_an_engine_that_is_well_again_gets_offers_again_and_that_is_told_once() -> None:
    house = House()
    house.engines.failed("rq", "timed out")

    for _ in range(10):
        house.clock.advance(2 * SECOND)
        house.engines.check()

    assert not house.engines.breaker("rq").is_open
    assert house.heard.kinds == ["engine.failed_over", "engine.failed_back"]


def test_an_engine_that_is_still_ill_stays_out() -> None:
    house = House()
    house.rq.down(EngineUnavailableError("connection refused"))
    house.engines.failed("rq", "timed out")

    for _ in range(10):
        house.clock.advance(2 * SECOND)
        house.engines.check()

    assert house.engines.breaker("rq").is_open
    assert house.engines.breaker("rq").reason == "connection refused"


def test_a_probe_that_is_not_due_is_not_made() -> None:
    house = House()
    house.engines.failed("rq", "timed out")

    for _ in range(10):
        house.engines.check()

    assert house.engines.breaker("rq").reason == "timed out"


def test_the_engines_are_known_by_name() -> None:
    assert list(House().engines) == ["rq", "dramatiq"]


def test_an_engine_that_does_not_answer_its_probe_is_not_healthy() -> None:
    hanging = HangingEngine()
    caller = BoundedCaller("rq", threads=1)
    engines = EngineSet(
        {"rq": Engine(hanging, caller)}, POLICY, clock=SystemClock(), listener=Heard()
    )

    with Stopwatch() as watch:
        health = engines.probe("rq")

    assert not health.healthy
    assert watch.elapsed < timedelta(seconds=1.5)
    hanging.open.set()


def test_an_open_breaker_is_watched_until_it_closes() -> None:
    closed = threading.Event()
    heard = Heard()
    heard.then = lambda: closed.set() if "engine.failed_back" in heard.kinds else None
    policy = BreakerPolicy(
        probe_every=timedelta(milliseconds=4), min_open=timedelta(0), ramp=timedelta(0)
    )
    engines = EngineSet(
        {"rq": Engine(MemoryEngine("rq"), DirectCaller())},
        policy,
        clock=SystemClock(),
        listener=heard,
    )
    engines.failed("rq", "timed out")

    engines.watch_in_background()

    assert closed.wait(PATIENCE)


def test_nobody_watches_while_all_is_well() -> None:
    before = set(threading.enumerate())
    engines = EngineSet(
        {"rq": Engine(MemoryEngine("rq"), DirectCaller())},
        POLICY,
        clock=FrozenClock(),
        listener=Heard(),
    )

    engines.watch_in_background()

    assert set(threading.enumerate()) <= before


def test_a_message_for_an_engine_that_is_not_there_is_a_mistake_of_the_caller() -> None:
    house = House()

    with pytest.raises(KeyError):
        house.engines.offer(
            "kafka", Message(1, "a", 1, "k", "m"), DEFAULT, Deadline(house.clock, 1)
        )


def test_nobody_watches_for_a_set_that_was_closed() -> None:
    def threads() -> set[str]:
        names = {"failsoft-prober", "failsoft-shut"}
        return names & {thread.name for thread in threading.enumerate()}

    policy = BreakerPolicy(probe_every=timedelta(milliseconds=4), min_open=timedelta(hours=1))
    engine = Engine(MemoryEngine("rq"), BoundedCaller("shut", threads=1))
    engines = EngineSet({"rq": engine}, policy, clock=SystemClock(), listener=Heard())
    engines.failed("rq", "a test")
    engines.probe("rq")
    engines.watch_in_background()
    assert threads() == {"failsoft-prober", "failsoft-shut"}

    engines.close()

    wait_until(lambda: not threads(), PATIENCE, "the threads end")
