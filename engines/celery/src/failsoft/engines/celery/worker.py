"""The half that works: a worker of Celery's, with its consumer and its pool of threads.

It runs no task of an application's, and nothing that a message names: each message of ours goes to
the worker process, and any other is dropped. A team whose workers are Celery's registers the task
in its own application instead (`tasks.py`).
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from kombu.connection import Connection
from kombu.entity import Queue

from celery import Celery
from celery.backends.base import DisabledBackend
from celery.concurrency.thread import TaskPool
from celery.worker import WorkController
from failsoft.engine_api import (
    ConfigurationError,
    EngineSite,
    EngineUnavailableError,
    Link,
    WorkerPost,
    redacted_url,
)
from failsoft.engines.celery.consumer import OneQueueConsumer
from failsoft.engines.celery.rabbitmq import queues
from failsoft.engines.celery.rabbitmq.connection import connect, drop
from failsoft.engines.celery.rabbitmq.transport import RabbitmqTransport
from failsoft.engines.celery.redis.transport import RedisTransport, options
from failsoft.engines.celery.settings import CelerySettings

#: How long the first look at RabbitMQ may take, in seconds.
CHECK_SECONDS = 1.0


class _App(Celery):
    """An application without tasks, results, environment variables and fixups.

    Celery's own reads a broker and a result backend of `CELERY_BROKER_URL` and
    `CELERY_RESULT_BACKEND` before what it is given (CE-07).
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        super().__init__(
            "failsoft", loader="celery.loaders.app:AppLoader", set_as_current=False, fixups=()
        )
        self.conf.update(
            accept_content=["json"],
            broker_channel_error_retry=True,
            broker_connection_retry_on_startup=True,
            task_ignore_result=True,
            worker_enable_remote_control=False,
        )

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Connection:
        """Return a connection that is not made yet."""
        return self._connect()

    def finalize(self, auto: bool = False) -> None:
        """Take over no task: every application of a process would get those that are shared."""
        self.finalized = True

    def _get_backend(self) -> DisabledBackend:
        return DisabledBackend(app=self)


class _Controller(WorkController):
    """Celery's worker, whose end changes no timeout of the whole process (CE-08)."""

    blueprint: Any

    def _shutdown(self, warm: bool = True) -> None:
        self.blueprint.stop(self, terminate=not warm)
        self.blueprint.join()


class _Pool(TaskPool):
    """Threads whose jobs may wait for results of other applications of Celery's (CE-12)."""

    task_join_will_block = False


class CeleryWorker:
    """`EngineWorker` of Celery."""

    def __init__(self, site: EngineSite[CelerySettings], post: WorkerPost) -> None:
        self._settings = site.settings
        self._queue = site.queue_name(post.queue)
        self._post = post
        shown = ";".join(map(redacted_url, site.settings.nodes))
        self._link = Link(f"Celery's broker ({shown})")

    def check(self) -> None:
        """Refuse a queue of RabbitMQ's that cannot be served, if RabbitMQ answers.

        Raises:
            ConfigurationError: It is a stream, or of another type than the settings name.
        """
        connection = None
        try:
            connection = connect(self._settings, CHECK_SECONDS)
            queues.declare(connection, self._queue, self._settings)
        except ConfigurationError:
            raise
        except Exception:  # noqa: BLE001, S110 - py-amqp raises more than its own classes; `run` waits for it
            pass
        finally:
            if connection is not None:
                drop(connection)

    def run(self, stopping: threading.Event) -> None:
        """Take messages until `stopping` is set; then wait for what runs.

        Raises:
            EngineUnavailableError: Celery's worker has ended by itself.
        """
        controller = _Controller(
            app=_App(partial(_connection, self._settings, self._queue, self._post)),
            hostname=f"failsoft@{self._post.boot_id}",
            pool_cls=_Pool,
            concurrency=self._post.slots,
            use_eventloop=False,
            consumer_cls=partial(
                OneQueueConsumer,
                post=self._post,
                link=self._link,
                stopping=stopping,
                declare=self._declare,
            ),
        )
        controller.start()
        if not stopping.is_set():
            raise EngineUnavailableError("Celery's worker has ended")

    def is_serving(self) -> bool:
        """Return whether the broker answers."""
        return self._link.is_up

    def _declare(self, connection: Any) -> Queue:
        if self._settings.is_rabbitmq:
            queues.declare(connection.connection, self._queue, self._settings)
        return Queue(self._queue, no_declare=True)


def _connection(settings: CelerySettings, queue: str, post: WorkerPost) -> Connection:
    # Without a URL: the transports have addresses of their own, which Kombu would show.
    if settings.is_rabbitmq:
        return Connection(transport=RabbitmqTransport, transport_options={"settings": settings})
    return Connection(
        transport=RedisTransport, transport_options=options(settings.broker_url, queue, post.reject)
    )
