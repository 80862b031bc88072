"""The suite demands of an engine what it must do and no more, and of a bench every message."""

import threading
from datetime import timedelta

import pytest

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.message import Message
from failsoft.testing import MemoryEngine
from failsoft.testing.engine_suite.delivery import DeliveryPromises
from failsoft.testing.engine_suite.forged_messages import ForeignMessagePromises
from failsoft.testing.engine_suite.outages import OutagePromises
from tests.contract.engines.engine_setups import MemoryBench


class RedeliveringBench(MemoryBench):
    """Delivers what was acknowledged as the server stopped once more after its restart."""

    def start_server(self) -> None:
        super().start_server()
        self.memory.redeliver(Message.from_wire(self._got[0]))

    def received(self, count: int, timeout: timedelta) -> list[object]:
        """Take one message at a time."""
        message = self.memory.take(self.queue)
        if message is not None:
            self.process(message.to_wire())
        return list(self._got)


class CopyingBench(MemoryBench):
    """Has three copies of a second offer before a look at what was delivered."""

    def received(self, count: int, timeout: timedelta) -> list[object]:
        waiting = self.memory.messages(self.queue)
        if self._got and waiting:
            self.memory.redeliver(waiting[0])
            self.memory.redeliver(waiting[0])
        return super().received(count, timeout)


class PunctualEngine(MemoryEngine):
    """An engine that finds nothing healthy after its deadline, and starts slowly."""

    def up(self) -> None:
        threading.Timer(1.2, super().up).start()

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        found = super().probe(queue, deadline)
        return EngineHealth(healthy=False, detail="late") if deadline.passed else found


class PunctualBench(MemoryBench):
    def __init__(self) -> None:
        super().__init__()
        self.engine = self.memory = PunctualEngine()


class ForgetfulBench(MemoryBench):
    foreign = ()


def test_a_redelivery_after_a_restart_is_no_broken_promise() -> None:
    OutagePromises().test_offers_are_taken_again_after_a_restart(RedeliveringBench())


def test_more_copies_than_two_are_no_broken_promise() -> None:
    DeliveryPromises().test_an_offer_that_was_processed_may_be_made_again(CopyingBench())


def test_each_probe_of_a_server_that_starts_has_a_deadline_of_its_own() -> None:
    OutagePromises().test_a_probe_is_healthy_again_after_a_restart(PunctualBench())


def test_a_bench_without_messages_that_name_other_code_is_refused() -> None:
    with pytest.raises(AssertionError, match="name other code"):
        ForeignMessagePromises().test_messages_that_name_other_code_are_dropped_and_counted(
            ForgetfulBench()
        )
