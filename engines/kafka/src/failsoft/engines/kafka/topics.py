"""The topics of queues: looked up, counted, made."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Protocol, cast

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ClusterMetadata,  # pyright: ignore[reportPrivateImportUsage]
    NewTopic,  # pyright: ignore[reportPrivateImportUsage]
    OffsetSpec,  # pyright: ignore[reportPrivateImportUsage]
)

from failsoft.engine_api import OfferRefusedError
from failsoft.engines.kafka.errors import lookup_error
from failsoft.engines.kafka.settings import KafkaSettings

#: How long records are kept: an offer that is older was made again long ago.
RETENTION_MS = 24 * 60 * 60 * 1000

_EARLIEST = cast("OffsetSpec", OffsetSpec.earliest())
_LATEST = cast("OffsetSpec", OffsetSpec.latest())


class Client(Protocol):
    """What every client of Kafka's can do."""

    def list_topics(self, topic: str | None = ..., timeout: float = ...) -> ClusterMetadata:
        """Return the metadata of a topic, or of all of them."""
        ...


def find(client: Client, topic: str, timeout: float) -> list[int]:
    """Return the partitions of a topic; an empty list where there is no such topic.

    Raises:
        EngineUnavailableError: No broker answered.
        OfferRefusedError: It refuses the topic.
    """
    try:
        found = client.list_topics(topic, timeout=timeout).topics[topic]
    except KafkaException as error:
        raise lookup_error(error.args[0]) from None
    if found.error is not None and found.error.code() not in (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - how librdkafka names its own errors
    ):
        raise lookup_error(found.error)
    return sorted(found.partitions)


def create(admin: AdminClient, topic: str, settings: KafkaSettings, timeout: float) -> bool:
    """Create a topic, and return whether there was none.

    Raises:
        EngineError: It was not created.
    """
    config = {"retention.ms": str(RETENTION_MS), "cleanup.policy": "delete"}
    if settings.copies > 1:
        # A record that one broker alone has is lost with it, and was acknowledged.
        config["min.insync.replicas"] = "2"
    new = NewTopic(
        topic,
        num_partitions=settings.partitions,
        replication_factor=settings.copies,
        config=config,
    )
    try:
        admin.create_topics([new], request_timeout=timeout)[topic].result(timeout)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise lookup_error(error.args[0]) from None
    except TimeoutError:
        raise lookup_error(KafkaError(KafkaError._TIMED_OUT)) from None  # noqa: SLF001
    return True


def missing(topic: str, name: str) -> OfferRefusedError:
    """Return the error of a topic that is not there."""
    return OfferRefusedError(f"there is no topic {topic}; run: failsoft engines prepare {name}")


def uncommitted(
    admin: AdminClient, member: Consumer, topic: str, partitions: list[int], *, timeout: float
) -> dict[int, tuple[int, int]] | None:
    """Return for each partition the first offset that no worker has committed, and the next one.

    None where Kafka does not say: counting takes rights that an offer does not take.

    Args:
        admin: Looks the ends up.
        member: A consumer of the workers' group, which has no part in it: librdkafka's
            `list_consumer_group_offsets` aborts the process where the broker dies meanwhile
            (KA-01).
        topic: The topic, which the group is named after.
        partitions: Its partitions.
        timeout: How long each lookup may take, in seconds.
    """
    places = [TopicPartition(topic, each) for each in partitions]
    try:
        ends = [
            admin.list_offsets(dict.fromkeys(places, spec), request_timeout=timeout)
            for spec in (_EARLIEST, _LATEST)
        ]
        committed = member.committed(places, timeout=timeout)
        done = {each.partition: each.offset for each in committed}
        first, last = (_offsets(each, timeout) for each in ends)
    except (KafkaException, TimeoutError, KeyError):
        return None
    # -1001 where nothing was committed; before the first offset where records have expired.
    return {each: (max(done.get(each, -1), first[each]), last[each]) for each in partitions}


def _offsets(found: Mapping[TopicPartition, "Future[Any]"], timeout: float) -> dict[int, int]:
    return {place.partition: future.result(timeout).offset for place, future in found.items()}
