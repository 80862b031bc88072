"""The producer of the outbox: idempotent, so that its own retries make no copies."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from failsoft.engine_api import EngineError, EngineUnavailableError, OutboxEntry
from failsoft.engines.kafka.consuming.record import ID_HEADER
from failsoft.engines.kafka.errors import offer_error
from failsoft.engines.kafka.settings import KafkaSettings

#: How long one record may be on its way, in milliseconds, and how long all of a wave, in seconds:
#: less than a relay's turn goes on without renewal.
MESSAGE_MS, WAVE_SECONDS = 4000, 5.0

#: The header of the job that a record is of.
JOB_HEADER = "failsoft-job"


class Publisher:
    """Hands records to Kafka and waits for its answers; used by one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._config = settings.client(
            enable_idempotence=True,
            # As Java's clients do: a key's records are in one partition, whichever wrote them.
            partitioner="murmur2_random",
            linger_ms=0,
            message_timeout_ms=MESSAGE_MS,
            request_timeout_ms=MESSAGE_MS - 500,
            socket_timeout_ms=MESSAGE_MS,
            socket_keepalive_enable=True,
            reconnect_backoff_ms=20,
            reconnect_backoff_max_ms=500,
            allow_auto_create_topics=False,
            topic_metadata_propagation_max_ms=0,
        )
        self._producer: Producer | None = None

    def publish(self, entries: Sequence[OutboxEntry]) -> list[EngineError | None]:
        """Publish records side by side; return an error, or None, for each."""
        producer = self._producer = self._producer or Producer(self._config)
        answers: dict[int, KafkaError | None] = {}
        for entry in entries:
            try:
                _produce(producer, entry, answers)
            except BufferError:
                answers[entry.seq] = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001
            except KafkaException as error:
                answers[entry.seq] = error.args[0]
        left = producer.flush(WAVE_SECONDS)
        if left or any(each is not None and each.fatal() for each in answers.values()):
            # Nothing of this wave is to be sent once the next one has begun.
            self.close()
        return [_error(answers, entry.seq) for entry in entries]

    def close(self) -> None:
        """Let go of the producer, and of what it has not sent."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
            self._producer = None


def _produce(producer: Producer, entry: OutboxEntry, answers: dict[int, KafkaError | None]) -> None:
    record = entry.record
    ours = [(ID_HEADER, entry.id.encode()), (JOB_HEADER, entry.job_id.encode())]
    headers: Any = [*record.headers, *ours]
    producer.produce(
        record.topic,
        record.value,
        key=record.key,
        headers=headers,
        on_delivery=partial(_note, answers, entry.seq),
    )


def _note(
    answers: dict[int, KafkaError | None], seq: int, error: KafkaError | None, record: Message
) -> None:
    answers[seq] = error


def _error(answers: dict[int, KafkaError | None], seq: int) -> EngineError | None:
    if seq not in answers:
        return EngineUnavailableError("Kafka did not answer in time")
    found = answers[seq]
    return None if found is None else offer_error(found)
