"""The worker side of each engine, by the engine's name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from failsoft.worker.engines import dramatiq_worker, rq_worker
from failsoft.worker.engines.port import EngineWorker, WorkerParts

_BUILDERS: Mapping[str, Callable[[WorkerParts], EngineWorker]] = MappingProxyType(
    {"rq": rq_worker.build_worker, "dramatiq": dramatiq_worker.build_worker}
)


def build_worker(engine: str, parts: WorkerParts) -> EngineWorker:
    """Build the worker side of an engine.

    Raises:
        ConfigurationError: If its server or queue does not fit.
    """
    return _BUILDERS[engine](parts)
