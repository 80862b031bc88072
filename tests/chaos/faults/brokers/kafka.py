"""What befalls Kafka: it forgets everything, falls silent, and loses a topic."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.system.topology import QUEUES
from tests.servers.tansu import Tansu

LANE = "kafka"
#: How long a request to a broker that runs may take, in seconds.
WITHIN = 30.0


class KafkaFaults:
    """The misfortunes of a broker that keeps everything in memory."""

    def __init__(self, broker: Tansu) -> None:
        self._broker = broker

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("kafka: restart empty", LANE, self._restart_empty, 0.2, 3),
            Nemesis("kafka: freeze", LANE, self._freeze, 0.5, 3),
            Nemesis("kafka: freeze longer than a session", LANE, self._freeze, 6.5, 8),
            Nemesis("kafka: delete a topic", LANE, self._delete_a_topic, 0, 0.5),
        ]

    @contextmanager
    def _restart_empty(self, rng: Random) -> Iterator[str]:
        self._broker.stop()
        try:
            yield "kill -9, and everything was in memory"
        finally:
            self._broker.start()

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str]:
        self._broker.freeze()
        try:
            yield "SIGSTOP"
        finally:
            self._broker.thaw()

    @contextmanager
    def _delete_a_topic(self, rng: Random) -> Iterator[str | None]:
        topic = f"failsoft-{rng.choice(QUEUES)}"
        admin = AdminClient({"bootstrap.servers": self._broker.url, "log_level": 0})
        # It may not have been made again since it was lost.
        is_there = topic in admin.list_topics(timeout=WITHIN).topics
        yield _delete(admin, topic) if is_there else None


def _delete(admin: AdminClient, topic: str) -> str:
    waiting = sum(_ends(admin, topic).values())
    admin.delete_topics([topic], operation_timeout=WITHIN)[topic].result(WITHIN)
    return f"{topic} with {waiting} records"


def _ends(admin: AdminClient, topic: str) -> dict[int, int]:
    """Return how far each partition goes."""
    partitions = admin.list_topics(topic, timeout=WITHIN).topics[topic].partitions
    last = {TopicPartition(topic, each): OffsetSpec.latest() for each in partitions}
    found = admin.list_offsets(last, request_timeout=WITHIN)
    return {place.partition: each.result(WITHIN).offset for place, each in found.items()}
