"""A conformance suite for engines: subclass it, provide one fixture, run it with pytest.

    @pytest.fixture
    def bench() -> Iterator[EngineBench]: ...   # a fresh queue, a server that can be broken

    class TestMyEngine(EngineSuite): ...

A bench is both sides of an engine: the adapter that offers, and a real worker side that hands
messages to a processor. An engine without a server of its own, which cannot freeze, runs
`ServerlessEngineSuite`.

`WorkerSuite` holds the half that works to what its process depends on: that it reports whether it
serves, stops in time, keeps to its slots, and acknowledges at the claim.
"""

from failsoft.testing.engine_suite.bench import EngineBench, ForeignMessage
from failsoft.testing.engine_suite.bulk import BulkOfferPromises, FrozenBulkPromises
from failsoft.testing.engine_suite.delivery import DeliveryPromises
from failsoft.testing.engine_suite.forged_messages import ForeignMessagePromises
from failsoft.testing.engine_suite.forks import ForkPromises
from failsoft.testing.engine_suite.freezes import FreezePromises
from failsoft.testing.engine_suite.outages import OutagePromises
from failsoft.testing.engine_suite.workers import (
    ClaimPromises,
    ServingPromises,
    SlotPromises,
    StoppingPromises,
    WorkerBench,
)

__all__ = [
    "BasicWorkerSuite",
    "EngineBench",
    "EngineSuite",
    "ForeignMessage",
    "ServerlessEngineSuite",
    "WorkerBench",
    "WorkerSuite",
]


class ServerlessEngineSuite(
    DeliveryPromises, BulkOfferPromises, OutagePromises, ForeignMessagePromises
):
    """Every promise of an engine that is in this process; stopping it refuses all offers."""


class EngineSuite(ServerlessEngineSuite, FreezePromises, FrozenBulkPromises, ForkPromises):
    """Every promise that an engine makes."""


class BasicWorkerSuite(ServingPromises, StoppingPromises, SlotPromises):
    """Every promise of a worker whose messages are acknowledged at another time than the claim."""


class WorkerSuite(BasicWorkerSuite, ClaimPromises):
    """Every promise that an engine's worker makes; the bench is a `WorkerBench`."""
