"""The producer of a process, and the thread that its answers arrive in."""

import os
import threading
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from failsoft.engine_api import Deadline

#: How long the thread waits for an answer before it looks whether it is to end, in seconds.
POLL_SECONDS = 0.5
#: How long a closed producer waits for what is under way, in seconds.
FLUSH_SECONDS = 1.0

Headers = list[tuple[str, str | bytes | None]]
#: The error of a record, and where it was appended if it was.
Answer = tuple[KafkaError | None, Message | None]


class SharedProducer:
    """One producer for all threads of a process, made when it is first needed.

    Every answer arrives in one thread: a thread that waited for its own by `poll` would be given
    those of others, which would wait meanwhile.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = dict(config)
        self._left: list[Producer] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._closed = threading.Event()
        self.error: KafkaError | None = None

    def get(self) -> Producer:
        """Return this process's producer."""
        if self._pid != os.getpid():
            # librdkafka's threads do not live on in a forked child, and its end would wait for
            # them: the parent's producer is kept, and never used.
            self._left += [self._producer] if self._producer is not None else []
            self._begin()
        with self._lock:
            if self._producer is None:
                self._producer = Producer({**self._config, "error_cb": self._note})
                self._closed = threading.Event()
                threading.Thread(
                    target=_serve,
                    args=(self._producer, self._closed),
                    name="failsoft-kafka-answers",
                    daemon=True,
                ).start()
            return self._producer

    def send(
        self,
        topic: str,
        bodies: Sequence[bytes],
        deadline: Deadline,
        headers: Headers | None = None,
    ) -> list[Answer]:
        """Produce records, and return an answer for each; `_TIMED_OUT` where there is none yet."""
        producer, answers = self.get(), SimpleQueue[tuple[int, Answer]]()
        found: list[Answer] = [(KafkaError(KafkaError._TIMED_OUT), None)] * len(bodies)  # noqa: SLF001
        waiting = 0
        for place, body in enumerate(bodies):

            def answered(error: KafkaError | None, record: Message, place: int = place) -> None:
                answers.put((place, (error, record)))

            try:
                producer.produce(topic, body, headers=headers, on_delivery=answered)
                waiting += 1
            except BufferError:
                found[place] = KafkaError(KafkaError._QUEUE_FULL), None  # noqa: SLF001
            except KafkaException as error:
                found[place] = error.args[0], None
        while waiting:
            try:
                place, answer = answers.get(timeout=deadline.remaining())
            except Empty:
                break
            found[place] = answer
            waiting -= 1
        return found

    def close(self) -> None:
        """Let go of the producer; the next call makes another."""
        if self._pid == os.getpid():
            with self._lock:
                self._producer = None
                self._closed.set()

    def _note(self, error: KafkaError) -> None:
        self.error = error


def _serve(producer: Producer, closed: threading.Event) -> None:
    while not closed.is_set():
        producer.poll(POLL_SECONDS)
    producer.flush(FLUSH_SECONDS)
