"""The Dramatiq worker: Dramatiq's own worker, with one queue and one actor, for delivery only.

Dramatiq's retries, time limits, delays, results and dead letters are not used: the ledger has all
of them (rule 15). As many messages are fetched as there are threads (DQ-12).
"""

import threading
from datetime import timedelta

import dramatiq
from dramatiq.worker import Worker

from failsoft.dispatcher.engines.dramatiq import SafeBroker, make_broker
from failsoft.dispatcher.engines.dramatiq_messages import ACTOR, Inbox
from failsoft.job_engine.errors import EngineUnavailableError
from failsoft.queue import queue_name
from failsoft.worker.engines.link import Link
from failsoft.worker.engines.port import WorkerParts

#: How long an idle consumer waits between two looks, in milliseconds.
IDLE_MS = 200
#: How often the threads are checked, in seconds.
LOOK_SECONDS = 0.5
#: How much longer than their grace running attempts may take: they end by themselves before.
MARGIN = timedelta(seconds=5)


def build_worker(parts: WorkerParts) -> "ThreadWorker":
    """Build the worker, on the broker of the settings.

    Raises:
        ConfigurationError: If the broker is a Redis Cluster, or its queue does not fit.
    """
    url = parts.config.fallback_url
    link = Link(f"Dramatiq's broker ({url})")
    broker = make_broker(url, parts.config.namespace, Inbox(parts.rejected, link))
    broker.check(queue_name(parts.queue, parts.config.namespace))
    return ThreadWorker(broker, parts, link)


class ThreadWorker:
    """Run the jobs of one queue in the threads of one Dramatiq worker.

    Args:
        broker: The broker.
        parts: The queue, and what is called with its messages.
        link: Notified by the broker's inbox whether the broker answers.
    """

    def __init__(self, broker: SafeBroker, parts: WorkerParts, link: Link) -> None:
        self._link = link
        self._grace_ms = int((parts.grace + MARGIN).total_seconds() * 1000)
        name = queue_name(parts.queue, parts.config.namespace)
        threads = parts.queue.dramatiq_threads

        @dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=name)
        def process(wire: object) -> None:
            parts.processor(wire)

        self._worker = Worker(broker, queues={name}, worker_timeout=IDLE_MS, worker_threads=threads)
        self._worker.queue_prefetch = threads
        self._broker = broker

    def run(self, stopping: threading.Event) -> None:
        """Take messages until `stopping` is set; then wait for what runs.

        Raises:
            EngineUnavailableError: If a thread of the worker has died (DQ-08).
        """
        self._worker.start()
        while not stopping.wait(LOOK_SECONDS):
            if not self._threads_alive():
                raise EngineUnavailableError("a thread of the Dramatiq worker has died")
        self._worker.stop(timeout=self._grace_ms)
        self._broker.close()

    def is_serving(self) -> bool:
        """Whether the broker answers and every thread is alive."""
        return self._link.is_up and self._threads_alive()

    def _threads_alive(self) -> bool:
        threads = [*self._worker.workers, *self._worker.consumers.values()]
        return all(thread.is_alive() for thread in threads)
