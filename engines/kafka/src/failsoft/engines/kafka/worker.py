"""The half that works: one consumer of the queue's topic, which fills the slots.

An offset is committed as soon as the ledger has decided about its record and all before it. So an
attempt, however long, holds up no record of its partition, and a rebalance takes nothing from it:
what was claimed is this process's by its lease.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from failsoft.engine_api import (
    EngineError,
    EngineSite,
    EngineUnavailableError,
    Link,
    Slots,
    Submission,
    WorkerPost,
)
from failsoft.engines.kafka import topics
from failsoft.engines.kafka.adapter import PROBE
from failsoft.engines.kafka.offsets import Offsets
from failsoft.engines.kafka.settings import KafkaSettings, Value

#: How long one look for a record or for a free slot takes, in seconds.
POLL_SECONDS = 0.1
#: How often offsets are committed, in seconds: what is taken again meanwhile is stale.
COMMIT_SECONDS = 0.05
#: How often an idle worker finds out whether Kafka answers, and how long an answer may take.
LOOK_SECONDS, ANSWER_SECONDS = 1.0, 1.0
#: How long leaving the group may take, in seconds.
LEAVE_SECONDS = 2.0


class KafkaWorker:
    """`EngineWorker` of Kafka."""

    def __init__(self, site: EngineSite[KafkaSettings], post: WorkerPost) -> None:
        self._settings = site.settings
        self._topic = site.queue_name(post.queue)
        self._missing = topics.missing(self._topic, site.name)
        self._slots = Slots(post)
        self._offsets = Offsets()
        self._link = Link(f"Kafka ({site.settings.servers})")
        self._partitions: set[int] = set()
        self._stopping = threading.Event()
        self._looked_at = self._committed_at = float("-inf")
        self._consumer = Consumer(_config(self._settings, group=self._topic))

    def run(self, stopping: threading.Event) -> None:
        """Take records until `stopping` is set; then wait for what runs.

        Raises:
            EngineUnavailableError: Another process has this one's `instance`.
        """
        self._stopping = stopping
        self._consumer.subscribe(
            [self._topic], on_assign=self._gain, on_revoke=self._lose, on_lost=self._lose
        )
        try:
            while not stopping.is_set():
                self._commit_now_and_then()
                free = self._slots.reserve_all(POLL_SECONDS)
                if not free:
                    self._stay()
                    continue
                records = self._take(free)
                if stopping.is_set():
                    break
                self._turn(records, free)
        finally:
            self._commit()
            self._leave()
            self._slots.close()

    def is_serving(self) -> bool:
        """Return whether Kafka answers and has given this worker partitions."""
        return self._link.is_up and bool(self._partitions)

    def _take(self, most: int) -> Sequence[Message]:
        """Return the next record within a moment, and those that have arrived with it."""
        record = self._consumer.poll(POLL_SECONDS)
        if record is None or most == 1:
            return () if record is None else (record,)
        found = [record]
        with suppress(KafkaException):
            # Without a wait: it would last until there are as many.
            found += self._consumer.consume(most - 1, timeout=0)
        # A partition may be lost meanwhile: its records are another consumer's.
        return [each for each in found if each.error() or each.partition() in self._partitions]

    def _turn(self, records: Sequence[Message], free: int) -> None:
        """Fill reserved slots, and give the others back."""
        for _ in range(free - len(records)):
            self._slots.release()
        if not records:
            self._look()
        good = [record for record in records if record.error() is None]
        if good:
            self._link.answered()
            self._fill(good)
        for record in records:
            error = record.error()
            if error is not None:
                self._slots.release()
                self._fail(error)

    def _fill(self, records: Sequence[Message]) -> None:
        """Fill reserved slots."""
        jobs: list[Message] = []
        for record in records:
            self._offsets.take(*_place(record))
            if _is_probe(record):
                self._slots.release()
                self._decide(record, is_decided=True)
            else:
                jobs.append(record)
        self._slots.submit_all(
            [Submission(each.value(), partial(self._decide, each)) for each in jobs]
        )

    def _decide(self, record: Message, is_decided: bool) -> None:
        # What the ledger has not decided about is offered again after its pickup deadline; where
        # the worker stops, the record's next consumer is quicker.
        if is_decided or not self._stopping.is_set():
            self._offsets.decide(*_place(record))

    def _commit_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._committed_at >= COMMIT_SECONDS:
            self._committed_at = now
            self._commit()

    def _commit(self) -> None:
        # In the thread that polls: from another one a commit may wait for ever (decision 0070).
        # Once the partition is lost, another consumer is given the record again, and the ledger
        # finds it stale.
        for partition, offset in self._offsets.ready().items():
            with suppress(KafkaException):
                place = TopicPartition(self._topic, partition, offset)
                self._consumer.commit(offsets=[place], asynchronous=True)

    def _stay(self) -> None:
        """Take part in the group while every slot is full, and take no record."""
        mine = [TopicPartition(self._topic, each) for each in self._partitions]
        self._consumer.pause(mine)
        record = self._consumer.poll(0)
        if record is not None and record.error() is None:  # of a partition that was just gained
            partition, offset = _place(record)
            self._consumer.seek(TopicPartition(self._topic, partition, offset))
        self._consumer.resume([each for each in mine if each.partition in self._partitions])

    def _look(self) -> None:
        """Find out whether Kafka answers: a consumer reports no outage."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        try:
            if not topics.find(self._consumer, self._topic, ANSWER_SECONDS):
                self._make_topic()
            self._link.answered()
        except EngineError as error:
            self._link.lost(error)
        self._looked_at = time.monotonic()

    def _make_topic(self) -> None:
        if not self._settings.makes_topics:
            raise self._missing
        topics.create(
            AdminClient(self._settings.client()), self._topic, self._settings, ANSWER_SECONDS
        )

    def _fail(self, error: KafkaError) -> None:
        if error.fatal():
            raise EngineUnavailableError(f"Kafka has shut this consumer out: {error.str()}")
        self._link.lost(error.str())
        self._stopping.wait(POLL_SECONDS)

    def _gain(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._partitions.update(each.partition for each in partitions)

    def _lose(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for each in partitions:
            self._partitions.discard(each.partition)
            self._offsets.forget(each.partition)

    def _leave(self) -> None:
        """Leave the group, so that others have the partitions at once; a silent Kafka may hang."""
        leaving = threading.Thread(target=self._consumer.close, daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)


def _config(settings: KafkaSettings, group: str) -> dict[str, Any]:
    static: dict[str, Value] = {}
    if settings.instance:
        static["group_instance_id"] = settings.instance
    return settings.client(
        group_id=group,
        partition_assignment_strategy="cooperative-sticky",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        fetch_wait_max_ms=100,
        socket_timeout_ms=3000,
        reconnect_backoff_max_ms=500,
        topic_metadata_refresh_interval_ms=5000,
        **static,
    )


def _place(record: Message) -> tuple[int, int]:
    return record.partition() or 0, record.offset() or 0


def _is_probe(record: Message) -> bool:
    headers: Any = record.headers()
    return any(name == PROBE for name, _ in headers or ())
