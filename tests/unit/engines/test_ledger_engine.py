"""The engine `ledger` on a ledger in memory that breaks on demand."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Self

import pytest

from failsoft.dispatcher.plugins.plugin import EngineSite, WorkerPost
from failsoft.engines.ledger.adapter import LedgerEngine, LedgerSettings
from failsoft.engines.ledger.worker import LONGEST, LedgerWorker
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineUnavailableError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.message import KeyRing
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import offered, ticket
from failsoft.worker.engine_sites import LedgerOffers
from tests.servers.processes import PATIENCE, wait_until

NAME = "ledger"
QUEUE = QueueProfile("default", slots=3)
DEADLINE = Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(FrozenClock())


@pytest.fixture
def site(ledger: MemoryLedger) -> EngineSite[LedgerSettings]:
    offers = LedgerOffers()
    offers.bind(ledger, KeyRing(ledger.signing_keys, SystemClock()))
    return EngineSite(NAME, LedgerSettings(), "", offers, {})


def test_an_offer_whose_wake_does_not_go_through_is_made_all_the_same(
    ledger: MemoryLedger, site: EngineSite[LedgerSettings]
) -> None:
    engine, job = LedgerEngine(site), offered(ledger, NAME)
    (message,) = site.offers.take(NAME, QUEUE.name, 1)
    ledger.down()

    engine.offer(message, QUEUE, DEADLINE)
    answers = engine.offer_many([message] * 2, QUEUE, DEADLINE)

    ledger.up()
    assert answers == [None, None]
    assert (message.job_id, message.epoch) == (job.id, job.epoch)


def test_a_ledger_that_is_away_is_not_healthy_and_holds_nothing_that_is_known(
    ledger: MemoryLedger, site: EngineSite[LedgerSettings]
) -> None:
    engine, _ = LedgerEngine(site), offered(ledger, NAME)
    (message,) = site.offers.take(NAME, QUEUE.name, 1)
    before = engine.holds(message, QUEUE, DEADLINE), engine.probe(QUEUE, DEADLINE)
    ledger.down()

    health = engine.probe(QUEUE, DEADLINE)

    assert (before[0], before[1].healthy, before[1].backlog) == (True, True, 1)
    assert (health.healthy, health.is_refused) == (False, False)
    with pytest.raises(EngineUnavailableError, match="the ledger does not answer"):
        engine.holds(message, QUEUE, DEADLINE)


def test_only_the_newest_offer_to_this_engine_is_held(
    ledger: MemoryLedger, site: EngineSite[LedgerSettings]
) -> None:
    engine, job = LedgerEngine(site), offered(ledger, NAME)
    (message,) = site.offers.take(NAME, QUEUE.name, 1)
    others = [replace(message, epoch=message.epoch + 1), replace(message, job_id="never")]

    held = [engine.holds(each, QUEUE, DEADLINE) for each in (message, *others)]
    elsewhere = engine.holds(message, QueueProfile("another"), DEADLINE)
    ledger.claim(ticket(job))

    assert held == [True, False, False]
    assert (elsewhere, engine.holds(message, QUEUE, DEADLINE)) == (False, False)


class Hall:
    """A worker whose attempts wait until they are let go."""

    def __init__(self, site: EngineSite[LedgerSettings], ledger: MemoryLedger) -> None:
        self.got: list[str] = []
        self.doors = threading.Event()
        self._ledger = ledger
        self._stopping = threading.Event()
        post = WorkerPost(
            queue=QUEUE,
            slots=QUEUE.slots,
            boot_id="boot",
            grace=timedelta(seconds=5),
            clock=SystemClock(),
            process=self._process,
            reject=lambda error: None,
            stop_job=lambda job_id: None,
        )
        self.worker = LedgerWorker(site, post)
        self._thread = threading.Thread(target=self.worker.run, args=(self._stopping,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.doors.set()
        self._stopping.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _process(self, wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        assert isinstance(wire, dict)
        assert self._ledger.claim(ticket(self._ledger.get(wire["job_id"]))) is not None
        self.got.append(wire["job_id"])
        self.doors.wait(PATIENCE)


def test_it_takes_no_more_than_it_has_slots_and_leaves_the_rest_to_others(
    ledger: MemoryLedger, site: EngineSite[LedgerSettings]
) -> None:
    jobs = [offered(ledger, NAME, priority=-n).id for n in range(5)]

    with Hall(site, ledger) as hall:
        wait_until(lambda: len(hall.got) == QUEUE.slots, PATIENCE, "every slot is full")
        # Longer than between two looks of a worker without work.
        threading.Event().wait(2 * LONGEST)
        left = [job_id for job_id, _ in ledger.take_offers(NAME, QUEUE.name, 10)]

        assert sorted(hall.got) == sorted(jobs[:3])
        assert left == jobs[3:]


def test_it_serves_again_when_the_ledger_is_back(
    ledger: MemoryLedger, site: EngineSite[LedgerSettings]
) -> None:
    with Hall(site, ledger) as hall:
        wait_until(hall.worker.is_serving, PATIENCE, "it serves")
        ledger.down()
        wait_until(lambda: not hall.worker.is_serving(), PATIENCE, "it does not serve")

        ledger.up()
        job = offered(ledger, NAME)
        wait_until(lambda: hall.got == [job.id], PATIENCE, "the job begins")
        assert hall.worker.is_serving()
