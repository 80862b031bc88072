"""A conformance suite for engines: subclass it, provide one fixture, run it with pytest.

    @pytest.fixture
    def bench() -> Iterator[EngineBench]: ...   # a fresh queue, a server that can be broken

    class TestMyEngine(EngineSuite): ...

A bench is both sides of an engine: the adapter that offers, and a real worker side that hands
messages to a processor. An engine without a server of its own, which cannot freeze, runs
`ServerlessEngineSuite`.
"""

from failsoft.testing.engine_suite.bench import EngineBench
from failsoft.testing.engine_suite.bulk import BulkOfferPromises, FrozenBulkPromises
from failsoft.testing.engine_suite.delivery import DeliveryPromises
from failsoft.testing.engine_suite.forged_messages import ForeignMessagePromises
from failsoft.testing.engine_suite.freezes import FreezePromises
from failsoft.testing.engine_suite.outages import OutagePromises

__all__ = ["EngineBench", "EngineSuite", "ServerlessEngineSuite"]


class ServerlessEngineSuite(
    DeliveryPromises, BulkOfferPromises, OutagePromises, ForeignMessagePromises
):
    """Every promise of an engine that is in this process; stopping it refuses all offers."""


class EngineSuite(ServerlessEngineSuite, FreezePromises, FrozenBulkPromises):
    """Every promise that an engine makes."""
