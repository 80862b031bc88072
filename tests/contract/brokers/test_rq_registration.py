"""RQ-23: what stands in Redis under a worker's name when it registers itself."""

from contextlib import closing
from datetime import timedelta

from failsoft.engines.rq.worker import SlotWorker
from failsoft.testing.engine_suite.bench import new_message, offer
from tests.contract.engines.engine_setups import RqBench
from tests.servers.processes import PATIENCE
from tests.servers.valkey import Valkey


class Noting(SlotWorker):
    """A slot notes its state just before each registration."""

    def register_birth(self) -> None:
        self.connection.hset(self.key, "state", "busy")
        super().register_birth()


class Bench(RqBench):
    worker_class = Noting


def test_a_worker_is_registered_over_what_its_slots_noted(valkey: Valkey) -> None:
    with closing(Bench(valkey)) as bench:
        offer(bench, new_message())

        assert len(bench.received(1, timedelta(seconds=PATIENCE))) == 1
