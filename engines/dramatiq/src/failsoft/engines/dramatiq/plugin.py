"""The engine `dramatiq`, plugged in."""

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
    Link,
    Supported,
    WorkerPost,
)
from failsoft.engines.dramatiq.adapter import DramatiqEngine, SafeBroker, make_broker
from failsoft.engines.dramatiq.checks import look_at_broker
from failsoft.engines.dramatiq.messages import Inbox
from failsoft.engines.dramatiq.settings import DramatiqSettings
from failsoft.engines.dramatiq.worker import ThreadWorker
from failsoft.queue.client import close_clients
from failsoft.queue.embedded_valkey import dev_server
from failsoft.queue.redis_checks import server_of


class DramatiqPlugin(EnginePlugin[DramatiqSettings]):
    """Dramatiq on RabbitMQ, Redis or Valkey."""

    kind = "dramatiq"
    title = "Dramatiq on RabbitMQ or Redis"
    settings = DramatiqSettings
    generic: ClassVar[Mapping[str, Sequence[str]]] = {
        "amqp_url": ("FAILSOFT_AMQP_URL", "AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL")
    }
    libraries: ClassVar[Sequence[Supported]] = (Supported("dramatiq", (2, 2), 3),)
    loggers: ClassVar[Mapping[str, int]] = {"dramatiq": logging.WARNING, "pika": logging.CRITICAL}
    said_by_link: ClassVar[Sequence[str]] = ("Consumer encountered a connection error",)

    def build(self, site: EngineSite[DramatiqSettings]) -> Engine:
        """Return the half that offers."""
        broker = _broker(site)
        adapter = DramatiqEngine(broker, site.namespace, site.name)
        # One thread, which connects and answers the heartbeats.
        caller = BoundedCaller(
            site.name,
            threads=1,
            idle=adapter.keep_alive,
            on_thread_end=adapter.disconnect,
            last=adapter.close,
        )
        return Engine(adapter, caller)

    def build_worker(self, site: EngineSite[DramatiqSettings], post: WorkerPost) -> EngineWorker:
        """Return Dramatiq's worker, with a thread for each of the post's slots.

        Raises:
            ConfigurationError: The broker, or the queue there, is none to work with.
        """
        link = Link(f"Dramatiq's broker ({site.settings.amqp_url})")
        inbox = Inbox(post.reject, link)
        broker = _broker(site, inbox)
        name = site.queue_name(post.queue)
        broker.check(name)
        return ThreadWorker(broker, name, post, link)

    def checks(self, site: EngineSite[DramatiqSettings]) -> Iterable[Check]:
        """Look at the broker, its login and the queue's arguments; write what an offer writes."""
        variable = site.variables["amqp_url"]
        remedy = f"look after Dramatiq's broker, or correct {variable}"
        yield Check(site.name, lambda: look_at_broker(site), remedy)

    def address(self, settings: DramatiqSettings) -> tuple[str, str | None]:
        """Return the URL of the broker, if the operator gave it."""
        is_given = "amqp_url" in settings.model_fields_set
        return "amqp_url", settings.amqp_url if is_given else None

    def release(self) -> None:
        """Close the connections to Redis."""
        close_clients()

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer:
        """Return a Valkey, which needs nothing installed; RabbitMQ does."""
        return dev_server(folder, url)

    def server(self, site: EngineSite[DramatiqSettings]) -> Hashable:
        """Return what distinguishes a Redis; RabbitMQ is no other engine's."""
        url = site.settings.amqp_url
        return None if url.startswith("amqp") else server_of(url)


def _broker(site: EngineSite[DramatiqSettings], inbox: Inbox | None = None) -> SafeBroker:
    settings = site.settings
    return make_broker(settings.amqp_url, site.namespace, inbox, queue_type=settings.queue_type)


PLUGIN = DramatiqPlugin()
