"""The engines of one process: breakers, probes, and the events of a change."""

import threading
from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, DirectCaller
from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.dispatcher.offering.engines import Engine, EngineSet
from failsoft.job_engine import QueueProfile
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import (
    EngineUnavailableError,
    LedgerUnavailableError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.testing import FrozenClock, MemoryEngine
from failsoft.testing.engine_suite.stopwatch import Stopwatch
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.support.attempts import EventList
from tests.unit.support.memory_app import POLICY, MemoryApp

SECOND = timedelta(seconds=1)


class HangingEngine(MemoryEngine):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__("rq")
        self.open = threading.Event()

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        self.open.wait(PATIENCE)
        return super().probe(queue, deadline)


def probers() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "failsoft-prober"]


def offer(app: MemoryApp, engine: str) -> None:
    message = KeyRing(app.ledger.signing_keys, app.clock).sign("job-1", 1, engine)
    app.engines.offer(engine, message, DEFAULT, Deadline.after(app.clock, SECOND))


def test_an_offer_reaches_the_engine_it_is_meant_for() -> None:
    app = MemoryApp()

    offer(app, "dramatiq")

    assert (len(app.offered(app.rq)), len(app.offered(app.dramatiq))) == (0, 1)


def test_a_failed_offer_opens_the_breaker_and_is_raised() -> None:
    app = MemoryApp()
    app.rq.down(OfferUncertainError("timed out"))

    with pytest.raises(OfferUncertainError):
        offer(app, "rq")

    assert app.engines.breaker("rq").is_open
    assert not app.engines.breaker("dramatiq").is_open


def test_a_change_emits_one_event_with_its_reason() -> None:
    app = MemoryApp()
    app.rq.down(EngineUnavailableError("connection refused"))

    for _ in range(3):
        with pytest.raises(EngineUnavailableError):
            offer(app, "rq")

    (event,) = app.events
    assert (event.kind, event.engine) == ("engine.failed_over", "rq")
    assert event.detail == {"reason": "connection refused", "to": "dramatiq"}


def test_what_no_engine_takes_goes_to_the_ledger() -> None:
    app = MemoryApp()

    for engine in ("rq", "dramatiq"):
        app.engines.failed(engine, "away")

    assert [event.detail["to"] for event in app.events] == ["dramatiq", "the ledger"]


def test_a_healthy_engine_gets_offers_again_with_one_event() -> None:
    app = MemoryApp()
    app.engines.failed("rq", "timed out")

    for _ in range(10):
        app.clock.advance(2 * SECOND)
        app.engines.check()

    assert not app.engines.breaker("rq").is_open
    assert app.events.kinds == ["engine.failed_over", "engine.failed_back"]


def test_an_engine_that_is_still_ill_stays_out() -> None:
    app = MemoryApp()
    app.rq.down(EngineUnavailableError("connection refused"))
    app.engines.failed("rq", "timed out")

    for _ in range(10):
        app.clock.advance(2 * SECOND)
        app.engines.check()

    assert app.engines.breaker("rq").is_open
    assert app.engines.breaker("rq").reason == "connection refused"


def test_a_probe_that_is_not_due_is_not_made() -> None:
    app = MemoryApp()
    app.engines.failed("rq", "timed out")

    for _ in range(10):
        app.engines.check()

    assert app.engines.breaker("rq").reason == "timed out"


def test_the_engines_are_known_by_name() -> None:
    assert list(MemoryApp().engines) == ["rq", "dramatiq"]


def test_an_engine_that_does_not_answer_its_probe_is_not_healthy() -> None:
    hanging = HangingEngine()
    caller = BoundedCaller("rq", threads=1)
    engines = EngineSet(
        {"rq": Engine(hanging, caller)}, POLICY, clock=SystemClock(), listener=EventList()
    )

    with Stopwatch() as watch:
        health = engines.probe("rq")

    assert not health.healthy
    assert watch.elapsed < timedelta(seconds=1.5)
    hanging.open.set()


def test_an_open_breaker_is_watched_until_it_closes() -> None:
    closed = threading.Event()
    events = EventList()
    events.then = lambda: closed.set() if "engine.failed_back" in events.kinds else None
    policy = BreakerPolicy(
        probe_every=timedelta(milliseconds=4), min_open=timedelta(0), ramp=timedelta(0)
    )
    engines = EngineSet(
        {"rq": Engine(MemoryEngine("rq"), DirectCaller())},
        policy,
        clock=SystemClock(),
        listener=events,
    )
    engines.failed("rq", "timed out")

    engines.watch_in_background()

    assert closed.wait(PATIENCE)


def test_what_is_open_is_noted_until_the_ledger_has_that_nothing_is() -> None:
    noted, closed = list[bool](), list[bool]()
    policy = BreakerPolicy(
        probe_every=timedelta(milliseconds=4), min_open=timedelta(0), ramp=timedelta(0)
    )
    engine = Engine(MemoryEngine("rq"), DirectCaller())
    engines = EngineSet({"rq": engine}, policy, clock=SystemClock(), listener=EventList())

    def note() -> None:
        (noted if engines.breaker("rq").is_open else closed).append(True)
        if len(noted) + len(closed) == 1 or len(closed) == 1:
            raise LedgerUnavailableError("away")

    engines.noting(note)
    engines.failed("rq", "timed out")
    engines.watch_in_background()

    wait_until(lambda: len(closed) >= 1 + 1, PATIENCE, "it is noted again")
    wait_until(lambda: not probers(), PATIENCE, "the thread ends")
    assert len(closed) == 1 + 1


def test_no_thread_probes_while_every_breaker_is_closed() -> None:
    before = set(threading.enumerate())
    engines = EngineSet(
        {"rq": Engine(MemoryEngine("rq"), DirectCaller())},
        POLICY,
        clock=FrozenClock(),
        listener=EventList(),
    )

    engines.watch_in_background()

    assert set(threading.enumerate()) <= before


def test_a_message_for_an_engine_that_is_not_there_is_a_mistake_of_the_caller() -> None:
    app = MemoryApp()

    with pytest.raises(KeyError):
        app.engines.offer("kafka", Message(1, "a", 1, "k", "m"), DEFAULT, Deadline(app.clock, 1))


def test_no_thread_probes_for_a_set_that_was_closed() -> None:
    def threads() -> set[str]:
        names = {"failsoft-prober", "failsoft-shut"}
        return names & {thread.name for thread in threading.enumerate()}

    policy = BreakerPolicy(probe_every=timedelta(milliseconds=4), min_open=timedelta(hours=1))
    engine = Engine(MemoryEngine("rq"), BoundedCaller("shut", threads=1))
    engines = EngineSet({"rq": engine}, policy, clock=SystemClock(), listener=EventList())
    engines.failed("rq", "a test")
    engines.probe("rq")
    engines.watch_in_background()
    assert threads() == {"failsoft-prober", "failsoft-shut"}

    engines.close()

    wait_until(lambda: not threads(), PATIENCE, "the threads end")
