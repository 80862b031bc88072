"""The engine in memory, for tests and for trying things out in one process."""

from pydantic import BaseModel

from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.plugins.plugin import EnginePlugin, EngineSite, EngineWorker, WorkerPost
from failsoft.job_engine.errors import ConfigurationError
from failsoft.testing import MemoryEngine


class NoSettings(BaseModel):
    """An engine in memory has no settings."""


class MemoryPlugin(EnginePlugin[NoSettings]):
    """An engine that keeps its messages in this process."""

    kind = "memory"
    settings = NoSettings
    is_for_tests = True

    def build(self, site: EngineSite[NoSettings]) -> Engine:
        """Return the half that offers."""
        return Engine(MemoryEngine(), DirectCaller())

    def build_worker(self, site: EngineSite[NoSettings], post: WorkerPost) -> EngineWorker:
        """Refuse: another process sees none of its messages.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "expected an engine with workers, got memory, whose messages stay in one process; "
            "serve another engine"
        )


PLUGIN = MemoryPlugin()
