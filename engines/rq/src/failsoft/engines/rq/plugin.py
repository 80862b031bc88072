"""The engine `rq`, plugged in."""

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from failsoft.engine_api import (
    DEFAULT,
    BoundedCaller,
    Check,
    Deadline,
    EmbeddedServer,
    Engine,
    EngineHealth,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Finding,
    Link,
    Supported,
    SystemClock,
    WorkerPost,
)
from failsoft.engines.rq.adapter import RqEngine
from failsoft.engines.rq.settings import RqSettings
from failsoft.engines.rq.worker import SlotWorker
from failsoft.queue import rq_queue, shared_client
from failsoft.queue.client import close_clients
from failsoft.queue.cluster import refuse_cluster
from failsoft.queue.embedded_valkey import dev_server
from failsoft.queue.redis_checks import look_at_redis, server_of

#: How many offers of one process may be under way at once.
CALLER_THREADS = 8


class RqPlugin(EnginePlugin[RqSettings]):
    """RQ on Redis or Valkey."""

    kind = "rq"
    title = "RQ on Redis"
    settings = RqSettings
    generic: ClassVar[Mapping[str, Sequence[str]]] = {
        "redis_url": ("FAILSOFT_REDIS_URL", "REDIS_URL"),
        "redis_host": ("REDIS_HOST", "FAILSOFT_REDIS_HOST"),
        "redis_port": ("REDIS_PORT", "FAILSOFT_REDIS_PORT"),
    }
    libraries: ClassVar[Sequence[Supported]] = (Supported("rq", (3,), 4), Supported("redis", (6,)))
    loggers: ClassVar[Mapping[str, int]] = dict.fromkeys(
        ("rq", "rq.worker", "rq.job"), logging.CRITICAL
    )

    def build(self, site: EngineSite[RqSettings]) -> Engine:
        """Return the half that offers."""
        adapter = RqEngine(shared_client(site.settings.url), site.namespace, site.name)
        return Engine(adapter, BoundedCaller(site.name, threads=CALLER_THREADS))

    def build_worker(self, site: EngineSite[RqSettings], post: WorkerPost) -> EngineWorker:
        """Return RQ's worker, with the post's slots.

        Raises:
            ConfigurationError: The server is a node of a Redis Cluster.
        """
        client = shared_client(site.settings.url, f"{site.name}-worker")
        refuse_cluster(client, site.variables["redis_url"])
        queue = rq_queue(post.queue, client, site.namespace)
        return SlotWorker(queue, post, Link(f"Redis ({site.settings.url})"))

    def checks(self, site: EngineSite[RqSettings]) -> Iterable[Check]:
        """Look at the server, and write what an offer writes."""
        url, variable = site.settings.url, site.variables["redis_url"]

        def look() -> Iterator[Finding]:
            within = site.answer_within
            adapter = RqEngine(shared_client(url, "doctor", within), site.namespace, site.name)

            def probe() -> EngineHealth:
                return adapter.probe(DEFAULT, Deadline.after(SystemClock(), within))

            yield from look_at_redis(site.name, url, variable, probe, within=within)

        yield Check(site.name, look, f"look after RQ's Redis, or correct {variable}")

    def address(self, settings: RqSettings) -> tuple[str, str | None]:
        """Return the URL of Redis, if the operator gave any part of it."""
        return "redis_url", settings.url if settings.model_fields_set else None

    def release(self) -> None:
        """Close the connections to Redis."""
        close_clients()

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer:
        """Return a Valkey."""
        return dev_server(folder, url)

    def server(self, site: EngineSite[RqSettings]) -> Hashable:
        """Return what distinguishes the server from others."""
        return server_of(site.settings.url)


PLUGIN = RqPlugin()
