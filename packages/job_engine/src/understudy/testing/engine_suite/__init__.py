"""A conformance suite for engines: subclass it, provide one fixture, run it with pytest.

    @pytest.fixture
    def bench() -> Iterator[EngineBench]: ...   # a fresh queue, a server that can be broken

    class TestMyEngine(EngineSuite): ...

A bench is both sides of an engine: the adapter that offers, and a real worker side that hands
messages to a processor. What an engine cannot do is named in `bench.lacks`, with the reason, and
its tests are skipped with it.
"""

from understudy.testing.engine_suite.bench import Capability, EngineBench
from understudy.testing.engine_suite.delivering import DeliveringPromises
from understudy.testing.engine_suite.outages import OutagePromises
from understudy.testing.engine_suite.strangers import StrangerPromises

__all__ = ["Capability", "EngineBench", "EngineSuite"]


class EngineSuite(DeliveringPromises, OutagePromises, StrangerPromises):
    """Every promise that an engine makes."""
