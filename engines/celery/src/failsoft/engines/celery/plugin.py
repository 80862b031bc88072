"""The engine `celery`, plugged in."""

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from failsoft.engine_api import (
    BoundedCaller,
    Check,
    EmbeddedServer,
    Engine,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Supported,
    WorkerPost,
)
from failsoft.engines.celery.adapter import CeleryEngine
from failsoft.engines.celery.checks import look_at_broker
from failsoft.engines.celery.redis.transport import PURPOSE
from failsoft.engines.celery.settings import CelerySettings
from failsoft.engines.celery.worker import CeleryWorker
from failsoft.queue import shared_client
from failsoft.queue.client import close_clients
from failsoft.queue.cluster import refuse_cluster
from failsoft.queue.embedded_valkey import dev_server
from failsoft.queue.redis_checks import server_of

#: How many offers of one process may be under way at once; on RabbitMQ one, because a connection
#: belongs to one thread, which also answers its heartbeats.
CALLER_THREADS = 8


class CeleryPlugin(EnginePlugin[CelerySettings]):
    """Celery on Redis, Valkey or RabbitMQ."""

    kind = "celery"
    title = "Celery on Redis or RabbitMQ"
    settings = CelerySettings
    libraries: ClassVar[Sequence[Supported]] = (
        Supported("celery", (5, 7), 6),
        Supported("kombu", (5, 7), 6),
        Supported("amqp", (5, 4), 6),
    )
    loggers: ClassVar[Mapping[str, int]] = dict.fromkeys(
        ("celery", "kombu", "amqp"), logging.CRITICAL
    )

    def build(self, site: EngineSite[CelerySettings]) -> Engine:
        """Return the half that offers."""
        adapter = CeleryEngine(site)
        threads = 1 if site.settings.is_rabbitmq else CALLER_THREADS
        caller = BoundedCaller(
            site.name, threads=threads, idle=adapter.keep_alive, on_thread_end=adapter.disconnect
        )
        return Engine(adapter, caller)

    def build_worker(self, site: EngineSite[CelerySettings], post: WorkerPost) -> EngineWorker:
        """Return Celery's worker, with a thread for each of the post's slots.

        Raises:
            ConfigurationError: The broker, or the queue there, is none to work with.
        """
        worker = CeleryWorker(site, post)
        if site.settings.is_rabbitmq:
            worker.check()
        else:
            client = shared_client(site.settings.broker_url, PURPOSE)
            refuse_cluster(client, site.variables["broker_url"])
        return worker

    def checks(self, site: EngineSite[CelerySettings]) -> Iterable[Check]:
        """Look at the broker, its login and the queue's arguments; write what an offer writes."""
        remedy = f"look after Celery's broker, or correct {site.variables['broker_url']}"
        yield Check(site.name, lambda: look_at_broker(site), remedy)

    def address(self, settings: CelerySettings) -> tuple[str, str | None]:
        """Return the URL of the broker, if the operator gave it."""
        is_given = "broker_url" in settings.model_fields_set
        return "broker_url", settings.broker_url if is_given else None

    def release(self) -> None:
        """Close the connections to Redis; those to RabbitMQ are the callers' threads'."""
        close_clients()

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer:
        """Return a Valkey, which needs nothing installed; RabbitMQ does."""
        return dev_server(folder, url)

    def server(self, site: EngineSite[CelerySettings]) -> Hashable:
        """Return what distinguishes a Redis; RabbitMQ says nothing that could be compared."""
        return None if site.settings.is_rabbitmq else server_of(site.settings.broker_url)


PLUGIN = CeleryPlugin()
