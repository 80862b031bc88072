"""Celery's consumer with one connection, one queue and one loop.

Of Celery's steps there is the connection. Left out are those that declare transient queues of their
own or obey everything that can write to the broker: events, gossip, mingle, remote control (CE-10).
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Consumer

from celery import bootsteps
from celery.exceptions import WorkerShutdown
from celery.utils.threads import bound_open_broker_sockets
from celery.worker import consumer as celery_consumer
from celery.worker.consumer.connection import Connection as ConnectionStep
from failsoft.engine_api import Link, Message, MessageRejectedError, WorkerPost
from failsoft.engines.celery.gate import Gate
from failsoft.engines.celery.messages import JSON, read_task

#: How long one look for a message takes, in seconds.
TURN_SECONDS = 0.25
#: The pauses between two tries to reach the broker, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
#: How long an answer of the broker's may take at the end, in seconds.
LAST_ANSWER_SECONDS = 1.0


class _Subscription(bootsteps.StartStopStep):
    """Begins to consume the queue, and ends it."""

    requires = (ConnectionStep,)

    def start(self, parent: "OneQueueConsumer") -> None:
        parent.subscribe()

    def stop(self, parent: "OneQueueConsumer") -> None:
        parent.unsubscribe()


class _Loop(bootsteps.StartStopStep):
    """Takes messages until the worker stops."""

    requires = (_Subscription,)
    last = True

    def start(self, parent: "OneQueueConsumer") -> None:
        parent.take_messages()


class OneQueueConsumer(celery_consumer.Consumer):
    """Hands our messages to the pool's threads, and drops all others.

    Args:
        post: The worker's slots, and what is called with messages.
        link: Notified whether the broker answers.
        stopping: Ends the loop.
        declare: Declares the queue over a connection, and returns it.
    """

    pool: Any
    connection: Any

    class Blueprint(celery_consumer.Consumer.Blueprint):
        """The three steps."""

        default_steps: ClassVar[list[Any]] = [ConnectionStep, _Subscription, _Loop]

    def __init__(
        self,
        *args: Any,
        post: WorkerPost,
        link: Link,
        stopping: threading.Event,
        declare: Callable[[Connection], Queue],
        **kwargs: Any,
    ) -> None:
        self._post = post
        self._link = link
        self._stop = stopping
        self._declare = declare
        self._gate = Gate(post.slots)
        self.task_consumer: Any = None
        super().__init__(*args, **kwargs)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, however long the broker is away; Celery waits up to 30 s (CE-11)."""
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                conn._connection_factory()  # noqa: SLF001 - `connect` sleeps, and tries again
            except Exception as error:  # noqa: BLE001 - clients raise more than their own classes
                self._link.lost(error)
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return conn
        raise WorkerShutdown(0)

    def subscribe(self) -> None:
        """Begin to consume, one message at a time."""
        queue = self._declare(self.connection)
        channel = self.connection.default_channel
        # For each consumer: quorum queues refuse any other kind.
        channel.basic_qos(0, 1, False)
        self.task_consumer = Consumer(
            channel, [queue], accept=[JSON], auto_declare=False, on_message=self._took
        )
        self.task_consumer.consume()

    def unsubscribe(self) -> None:
        """Stop consuming; a silent broker is not waited for."""
        if self.task_consumer is not None and self.connection is not None:
            bound_open_broker_sockets(self.connection, LAST_ANSWER_SECONDS)
            with suppress(Exception):  # the connection ends next
                self.task_consumer.cancel()
        self.task_consumer = None

    def take_messages(self) -> None:
        """Take messages until the worker is to stop.

        Raises:
            WorkerShutdown: It is.
        """
        self.on_ready()
        self._link.answered()
        has_heartbeats = self.connection.supports_heartbeats
        while not self._stop.is_set():
            if has_heartbeats:
                self.connection.heartbeat_check()
            elif not self._gate.wait(TURN_SECONDS):
                # A Redis is not read before there is room: RabbitMQ waits for the acknowledgement.
                continue
            with suppress(TimeoutError):
                self.connection.drain_events(timeout=TURN_SECONDS)
        raise WorkerShutdown(0)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Note it; the next start connects."""
        self._link.lost(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Note it, and let go of the connection."""
        self._link.lost(exc)
        self.task_consumer = None
        connection, self.connection = self.connection, None
        bound_open_broker_sockets(connection, LAST_ANSWER_SECONDS)
        with suppress(Exception):  # it is broken, in whatever way
            connection.collect()

    def on_close(self) -> None:
        """Keep no account: what is not acknowledged is delivered again."""

    def _took(self, message: Any) -> None:
        try:
            ours = read_task(message.headers, message.content_type, message.body)
        except MessageRejectedError as error:
            self._post.reject(error)
            self._acknowledge(message)
            return
        if self._stop.is_set():
            self._give_back(message)
            return
        self._gate.taken()
        self.pool.apply_async(self._attempt, (message, ours))

    def _attempt(self, message: Any, ours: Message) -> None:
        is_decided = False

        def claimed() -> None:
            nonlocal is_decided
            is_decided = True
            self._gate.decided(partial(self._acknowledge, message))

        try:
            self._post.process(ours.to_wire(), claimed)
        finally:
            if not is_decided:
                self._give_back(message)
                self._gate.given_back()
            self._gate.ended()

    def _give_back(self, message: Any) -> None:
        # Of a connection that has ended: it is delivered again in any case.
        with suppress(Exception):
            message.requeue()

    def _acknowledge(self, message: Any) -> None:
        # Of a connection that has ended: it is delivered again, and the ledger finds it stale.
        with suppress(Exception):
            message.ack()
