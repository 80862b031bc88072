"""The bridge of Kafka: a consumer for each group that jobs declare, and the outbox's relay."""

import threading
from collections.abc import Callable

from failsoft.engine_api import BridgePost, EngineSite, EngineUnavailableError, Link, OutboxRelay
from failsoft.engines.kafka.consuming.consumer import GroupMember
from failsoft.engines.kafka.consuming.declaration import consumptions, expect_shards
from failsoft.engines.kafka.publishing.publisher import Publisher
from failsoft.engines.kafka.settings import KafkaSettings

#: How long the parts may take to end, in seconds.
END_SECONDS = 8.0


class KafkaBridge:
    """`EngineBridge` of Kafka."""

    def __init__(self, site: EngineSite[KafkaSettings], post: BridgePost) -> None:
        publisher = Publisher(site.settings)
        relay = OutboxRelay(
            post.outbox,
            site.name,
            post.boot_id,
            publisher.publish,
            link=Link(f"Kafka ({site.settings.servers}), for the outbox,"),
            clock=post.clock,
        )
        self._parts: dict[str, Callable[[threading.Event], None]] = {"outbox": relay.run}
        for group, topics in consumptions(site.name, site.namespace).items():
            if post.is_sharded:
                expect_shards(topics)
            self._parts[group] = GroupMember(site.settings, group, topics, post).run
        self._failed: dict[str, Exception] = {}
        self._ended = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        """Consume and publish until `stopping` is set.

        Raises:
            EngineUnavailableError: A part of it ended by an error; the others are stopped.
        """
        halt = threading.Event()
        threads = [
            threading.Thread(target=self._run, args=(name, part, halt), daemon=True, name=name)
            for name, part in self._parts.items()
        ]
        for each in threads:
            each.start()
        while not stopping.wait(0.1) and not self._ended.is_set():
            pass
        halt.set()
        for each in threads:
            each.join(END_SECONDS)
        for name, error in self._failed.items():
            raise EngineUnavailableError(f"{name}: {error}") from error

    def _run(
        self, name: str, part: Callable[[threading.Event], None], halt: threading.Event
    ) -> None:
        try:
            part(halt)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            self._failed[name] = error
        finally:
            self._ended.set()
