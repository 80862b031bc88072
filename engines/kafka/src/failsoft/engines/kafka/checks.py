"""Is Kafka fit to carry offers?"""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
    ResourceType,  # pyright: ignore[reportPrivateImportUsage]
)

from failsoft.engine_api import (
    DEFAULT,
    Deadline,
    EngineSite,
    Finding,
    SystemClock,
    failure,
    fine,
    probed_twice,
    unreachable,
    warning,
)
from failsoft.engines.kafka.adapter import KafkaEngine
from failsoft.engines.kafka.settings import KafkaSettings


def look_at_kafka(site: EngineSite[KafkaSettings]) -> Iterator[Finding]:
    """Look at the brokers, the login, and the topic of the default queue; write to it."""
    seconds = site.answer_within.total_seconds()
    admin = AdminClient(site.settings.client(socket_timeout_ms=round(seconds * 1000)))
    try:
        cluster = admin.list_topics(timeout=seconds)
    except KafkaException as error:
        remedy = f"start Kafka, or correct {site.variables['servers']}"
        yield unreachable(site.name, f"{site.settings.servers}: {error.args[0].str()}", remedy)
        return
    yield fine(site.name, f"{len(cluster.brokers)} brokers, {site.settings.servers}")
    yield from _login(site)
    topic = site.queue_name(DEFAULT)
    found = cluster.topics.get(topic)
    if found is None or not found.partitions:
        remedy = f"run: failsoft engines prepare {site.name}"
        yield failure(f"{site.name} topic", f"there is no topic {topic}", remedy)
        return
    copies = min(len(each.replicas) for each in found.partitions.values())
    yield _replication(site, admin, topic, copies)
    yield _write(site)


def _login(site: EngineSite[KafkaSettings]) -> Iterator[Finding]:
    check, config = f"{site.name} login", site.settings.config
    protocol = str(config.get("security.protocol", "plaintext")).lower()
    if site.settings.is_local:
        return
    if protocol in ("sasl_ssl", "ssl"):
        yield fine(check, protocol)
        return
    remedy = f"set security.protocol to sasl_ssl in {site.variables['config']}"
    yield warning(check, f"{protocol} towards {site.settings.servers}", remedy)


def _replication(
    site: EngineSite[KafkaSettings], admin: AdminClient, topic: str, copies: int
) -> Finding:
    check, least = f"{site.name} replication", _least_in_sync(site, admin, topic)
    found = f"{topic} has {copies} replicas" + (f", {least} in sync at least" if least else "")
    if copies > 1 and least != 1:
        return fine(check, found)
    remedy = (
        "works; with 3 replicas and min.insync.replicas=2 no acknowledged offer is lost with a "
        "broker, and without them it is made again after its pickup deadline"
    )
    return warning(check, found, remedy)


def _least_in_sync(site: EngineSite[KafkaSettings], admin: AdminClient, topic: str) -> int | None:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    seconds = site.answer_within.total_seconds()
    try:
        answer: dict[str, Any] = admin.describe_configs([resource])[resource].result(seconds)
        return int(answer["min.insync.replicas"].value)
    except (KafkaException, TimeoutError, KeyError, ValueError, TypeError):
        return None  # to know it takes a right that an offer does not take


def _write(site: EngineSite[KafkaSettings]) -> Finding:
    adapter = KafkaEngine(site)

    def probe() -> Any:
        return adapter.probe(DEFAULT, Deadline.after(SystemClock(), site.answer_within))

    health = probed_twice(probe)
    adapter.close()
    if health.healthy:
        return fine(f"{site.name} write", health.detail)
    return failure(f"{site.name} write", health.detail, "look at the brokers' logs and disks")
