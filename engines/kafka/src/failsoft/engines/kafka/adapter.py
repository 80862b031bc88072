"""The half that offers: a record in the topic of the queue, acknowledged by its replicas.

The records have no keys and no order. What counts is the epoch in the ledger, so a record that is
there twice is harmless, and the producer needs no idempotence of its own (decision 0070).
"""

import os
from collections import defaultdict
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError
from confluent_kafka.admin import AdminClient

from failsoft.engine_api import (
    Deadline,
    EngineError,
    EngineHealth,
    EngineRefusedError,
    EngineSite,
    Message,
    OfferRefusedError,
    QueueProfile,
    to_body,
)
from failsoft.engines.kafka import topics
from failsoft.engines.kafka.errors import offer_error
from failsoft.engines.kafka.producer import Headers, SharedProducer
from failsoft.engines.kafka.settings import KafkaSettings

#: The header of a record that a probe wrote: workers pass over it.
PROBE = "failsoft-probe"
#: How long one record may be on its way; an offer has a second, shared with other engines.
MESSAGE_MS = 900
#: How long a lookup may take of an offer's time, in seconds.
LOOKUP_SECONDS = 0.8

_PROBE_HEADERS: Headers = [(PROBE, b"1")]


class KafkaEngine:
    """`EngineAdapter` of Kafka."""

    def __init__(self, site: EngineSite[KafkaSettings]) -> None:
        self.name: str = site.name
        self._site = site
        self._known: dict[str, list[int]] = {}
        self._probes = defaultdict[tuple[str, int], list[int]](list)
        self._admins: dict[int, AdminClient] = {}
        self._members: dict[tuple[int, str], Consumer] = {}
        self._producer = SharedProducer(
            site.settings.client(
                acks="all",
                retries=0,
                linger_ms=0,
                message_timeout_ms=MESSAGE_MS,
                request_timeout_ms=MESSAGE_MS - 100,
                socket_timeout_ms=1000,
                socket_keepalive_enable=True,
                reconnect_backoff_ms=20,
                reconnect_backoff_max_ms=200,
                allow_auto_create_topics=False,
                topic_metadata_propagation_max_ms=0,
            )
        )

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Produce one record."""
        (error,) = self.offer_many([message], queue, deadline)
        if error is not None:
            raise error

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Produce records side by side."""
        topic = self._site.queue_name(queue)
        self._reach(topic, deadline)
        answers = self._producer.send(topic, [to_body(each) for each in messages], deadline)
        errors = [error for error, _ in answers]
        self._note(errors)
        return [None if error is None else offer_error(error) for error in errors]

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Produce a record that workers pass over, and count what waited before it."""
        topic = self._site.queue_name(queue)
        try:
            partitions = self._reach(topic, deadline)
            backlog = self._backlog(topic, partitions, deadline)
            self._produce_probe(topic, deadline)
        except OfferRefusedError as error:
            of_queue = not isinstance(error, EngineRefusedError)
            return EngineHealth(healthy=False, detail=str(error), is_refused=of_queue)
        except EngineError as error:
            return EngineHealth(healthy=False, detail=str(error))
        return EngineHealth(healthy=True, detail="produced with acks=all", backlog=backlog)

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Leave the record: Kafka takes back no single one."""

    def close(self) -> None:
        """Let go of the clients; the next call makes others."""
        self._producer.close()
        pid = os.getpid()
        self._admins.pop(pid, None)
        for key in [each for each in self._members if each[0] == pid]:
            del self._members[key]

    def _reach(self, topic: str, deadline: Deadline) -> list[int]:
        """Look the topic up unless it is known to be there, and return its partitions.

        What fails here was never sent, so after a failure an offer is known not to have arrived.
        """
        known = self._known.get(topic)
        if known is None:
            known = self._find(topic, min(LOOKUP_SECONDS, deadline.remaining() * 0.8))
            if not known:
                raise topics.missing(topic, self.name)
            self._known[topic] = known
        return known

    def _find(self, topic: str, timeout: float) -> list[int]:
        try:
            found = topics.find(self._producer.get(), topic, timeout)
        except EngineError:
            why = self._producer.error
            if why is not None and why.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001
                raise offer_error(why) from None
            raise
        if not found and self._site.settings.makes_topics:
            topics.create(self._admin(), topic, self._site.settings, timeout)
            found = topics.find(self._producer.get(), topic, timeout)
        return found

    def _backlog(self, topic: str, partitions: list[int], deadline: Deadline) -> int | None:
        admin, member = self._admin(), self._member(topic)
        half = deadline.remaining() / 2
        found = topics.uncommitted(admin, member, topic, partitions, timeout=half)
        if found is None:
            return None
        waiting = 0
        for partition, (first, end) in found.items():
            mine = self._probes[topic, partition]
            mine[:] = [each for each in mine if each >= first]
            waiting += end - first - len(mine)
        return max(0, waiting)

    def _produce_probe(self, topic: str, deadline: Deadline) -> None:
        ((error, record),) = self._producer.send(topic, [b""], deadline, _PROBE_HEADERS)
        self._note([error])
        if error is not None:
            raise offer_error(error)
        if record is not None:
            self._probes[topic, record.partition() or 0].append(record.offset() or 0)

    def _note(self, errors: Sequence[KafkaError | None]) -> None:
        if any(error is not None for error in errors):
            self._known.clear()

    def _admin(self) -> AdminClient:
        pid = os.getpid()
        if pid not in self._admins:
            self._admins[pid] = AdminClient(self._site.settings.client(socket_timeout_ms=1000))
        return self._admins[pid]

    def _member(self, topic: str) -> Consumer:
        """Return a consumer of the workers' group that takes no part in it."""
        key = os.getpid(), topic
        if key not in self._members:
            settings = self._site.settings
            self._members[key] = Consumer(settings.client(group_id=topic, socket_timeout_ms=1000))
        return self._members[key]
