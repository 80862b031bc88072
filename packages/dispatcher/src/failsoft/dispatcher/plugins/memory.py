"""The engine in memory, for tests and for trying things out in one process."""

from failsoft.dispatcher.engines.config import EngineConfig
from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.offering.engines import Engine
from failsoft.testing import MemoryEngine


def build(config: EngineConfig) -> Engine:
    """Build an engine that keeps its messages in this process."""
    return Engine(MemoryEngine(), DirectCaller())
