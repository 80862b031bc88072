"""The engine in memory, for tests and for trying things out in one process."""

from understudy.dispatcher.engines.config import EngineConfig
from understudy.dispatcher.offering.bounded_caller import DirectCaller
from understudy.dispatcher.offering.engines import Engine
from understudy.testing import MemoryEngine


def build(config: EngineConfig) -> Engine:
    """Build an engine that keeps its messages in this process."""
    return Engine(MemoryEngine(), DirectCaller())
