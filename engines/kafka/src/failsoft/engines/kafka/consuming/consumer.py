"""A member of a consumer group: records into jobs, and the offsets after them (rule 27).

A batch is dispatched, then its offsets are committed, both in the thread that polls. Whatever ends
the consumer in between, the next one is given the same records, and the ledger finds their jobs by
their keys. While the ledger is away the batch is kept and dispatched again; the partitions are
paused meanwhile, so that the consumer stays in its group, and takes no record that it cannot keep.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from failsoft.engine_api import (
    AnyDefinition,
    BridgePost,
    DispatchError,
    DispatchOutcome,
    DispatchRequest,
    EngineUnavailableError,
    LedgerError,
    Link,
)
from failsoft.engines.kafka.consuming.declaration import Consumption
from failsoft.engines.kafka.consuming.record import Record
from failsoft.engines.kafka.consuming.unfit import unfit, unfit_kafka_record, why
from failsoft.engines.kafka.settings import KafkaSettings, Value

logger: logging.Logger = logging.getLogger("failsoft.bridge")

#: How many records are dispatched at once at most.
BATCH = 200
#: How long one look for records takes, in seconds.
POLL_SECONDS = 0.1
#: The pauses before a batch is dispatched again that the ledger did not take, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
#: How long leaving the group may take, in seconds.
LEAVE_SECONDS = 2.0


class GroupMember:
    """One consumer of one group.

    Args:
        settings: Where Kafka is.
        group: The consumer group.
        topics: What becomes of the records, by topic.
        post: What dispatches jobs.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Mapping[str, Consumption],
        post: BridgePost,
    ) -> None:
        self._topics = topics
        self._post = post
        self._link = Link(f"Kafka ({settings.servers}), for group {group},")
        self._mine: set[tuple[str, int]] = set()
        self._batch: list[Message] = []
        self._again_at = 0.0
        self._pause = FIRST_PAUSE
        begin = next(iter(topics.values())).begin
        self._consumer = Consumer(_config(settings, group, begin))

    def run(self, stopping: threading.Event) -> None:
        """Consume until `stopping` is set.

        Raises:
            EngineUnavailableError: Kafka has shut this consumer out.
        """
        self._consumer.subscribe(
            list(self._topics), on_assign=self._gain, on_revoke=self._lose, on_lost=self._lose
        )
        try:
            while not stopping.is_set():
                self._turn(stopping)
        finally:
            self._leave()

    def _turn(self, stopping: threading.Event) -> None:
        if self._batch:
            self._stay()
        else:
            self._fill()
        if self._batch and time.monotonic() >= self._again_at and not stopping.is_set():
            self._dispatch()

    def _fill(self) -> None:
        first = self._consumer.poll(POLL_SECONDS)
        if first is not None:
            for each in (first, *self._consumer.consume(BATCH - 1, 0)):
                self._keep(each)

    def _keep(self, record: Message) -> None:
        error = record.error()
        if error is None:
            self._link.answered()
            self._batch.append(record)
        elif error.fatal():
            raise EngineUnavailableError(f"Kafka has shut this consumer out: {error.str()}")
        elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own
            self._link.lost(error.str())

    def _stay(self) -> None:
        """Take part in the group while a batch waits, and take no further record."""
        self._consumer.pause(self._places())
        record = self._consumer.poll(POLL_SECONDS)
        if record is not None:  # of a partition that was just gained
            self._keep(record)

    def _dispatch(self) -> None:
        try:
            self._dispatch_all([(each, _record(each)) for each in self._batch])
        except LedgerError as error:
            if self._pause == FIRST_PAUSE:
                logger.warning("records wait: %s", error)
            self._again_at = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return
        self._pause = FIRST_PAUSE
        self._commit()
        self._batch.clear()
        self._consumer.resume(self._places())

    def _dispatch_all(self, batch: Sequence[tuple[Message, Record]]) -> None:
        """Dispatch a job for each record.

        Raises:
            LedgerError: One may not have been recorded; to dispatch all again is harmless.
        """
        fitting: defaultdict[tuple[AnyDefinition, str | None], list[_Fit]] = defaultdict(list)
        unfits: list[_Unfit] = []
        for _, record in batch:
            consumption = self._topics[record.topic]
            try:
                request = consumption.fit(record)
            except Exception as error:  # noqa: BLE001 - the program's own code may raise anything
                unfits.append((record, consumption, error))
                continue
            if request is not None:
                of_shard = consumption.job, request.options.get("shard")
                fitting[of_shard].append((record, consumption, request))
        for (job, _), fits in fitting.items():
            try:
                outcomes = self._post.dispatch(job, [request for *_, request in fits])
            except DispatchError as error:  # of several ledgers: nothing was stored
                unfits += [(record, consumption, error) for record, consumption, _ in fits]
            else:
                unfits += _refused(fits, outcomes)
        for each in unfits:
            self._keep_unfit(*each)

    def _keep_unfit(self, record: Record, consumption: Consumption, error: Exception) -> None:
        (outcome,) = self._post.dispatch(unfit_kafka_record, [unfit(record, consumption, error)])
        if outcome.handle is None:
            raise outcome.error or AssertionError("a dispatch has a handle or an error")
        if outcome.handle.disposition != "existing":
            detail = {"place": record.place, "reason": why(error)}
            self._post.emit("record.unfit", outcome.handle.id, consumption.job.name, **detail)

    def _commit(self) -> None:
        # In the thread that polls: from another one a commit may wait for ever (decision 0070).
        # One that is lost, or refused because the partition is another's, costs a second look.
        ends: dict[tuple[str, int], int] = {}
        for each in self._batch:
            record = _record(each)
            place = record.topic, record.partition
            ends[place] = max(ends.get(place, 0), record.offset + 1)
        with suppress(KafkaException):
            offsets = [TopicPartition(*place, offset) for place, offset in ends.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _places(self) -> list[TopicPartition]:
        return [TopicPartition(*each) for each in self._mine]

    def _gain(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._mine.update((each.topic, each.partition) for each in partitions)

    def _lose(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        lost = {(each.topic, each.partition) for each in partitions}
        self._mine -= lost
        # Another consumer is given them: what was not committed is that one's.
        self._batch = [each for each in self._batch if (each.topic(), each.partition()) not in lost]

    def _leave(self) -> None:
        """Leave the group, so that others have the partitions at once; a silent Kafka may hang."""
        leaving = threading.Thread(target=self._consumer.close, daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)


_Fit = tuple[Record, Consumption, DispatchRequest[Any]]
_Unfit = tuple[Record, Consumption, Exception]


def _refused(fits: Sequence[_Fit], outcomes: Sequence[DispatchOutcome[Any]]) -> list[_Unfit]:
    """Return the records whose dispatch is wrong, however often it is made."""
    found: list[_Unfit] = []
    for (record, consumption, _), outcome in zip(fits, outcomes, strict=True):
        if isinstance(outcome.error, DispatchError):
            found.append((record, consumption, outcome.error))
        elif outcome.error is not None:
            raise outcome.error
    return found


def _config(settings: KafkaSettings, group: str, begin: str) -> dict[str, Any]:
    static: dict[str, Value] = {}
    if settings.instance:
        static["group_instance_id"] = settings.instance
    return settings.client(
        group_id=group,
        partition_assignment_strategy="cooperative-sticky",
        auto_offset_reset=begin,
        enable_auto_commit=False,
        isolation_level="read_committed",
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        fetch_wait_max_ms=100,
        socket_timeout_ms=3000,
        reconnect_backoff_max_ms=500,
        topic_metadata_refresh_interval_ms=5000,
        **static,
    )


def _record(message: Message) -> Record:
    found: Any = message.headers()
    headers = tuple((name, _as_bytes(value)) for name, value in found or ())
    _, moment = message.timestamp()
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        max(moment, 0),
        _as_bytes(message.key()),
        _as_bytes(message.value()),
        headers,
    )


def _as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
