"""The Dramatiq worker: Dramatiq's own worker, one queue, one actor, nothing but delivery.

No retries, time limits, delays, results or dead letters of Dramatiq's: the ledger has all of
them (rule 15). As many messages are fetched as there are threads (DQ-12).
"""

import threading
from datetime import timedelta

import dramatiq
from dramatiq.worker import Worker
from failsoft.dispatcher.plugins.link import Link
from failsoft.engines.dramatiq.adapter import SafeBroker
from failsoft.engines.dramatiq.messages import ACTOR
from failsoft.job_engine.errors import EngineUnavailableError
from failsoft.queue.safe_job import Processor

#: How long an idle consumer waits between two looks, in milliseconds.
IDLE_MS = 200
#: How often the threads are looked after, in seconds.
LOOK_SECONDS = 0.5


class ThreadWorker:
    """Run the jobs of one queue in the threads of one Dramatiq worker."""

    def __init__(
        self,
        broker: SafeBroker,
        queue_name: str,
        processor: Processor,
        *,
        link: Link,
        threads: int,
        grace: timedelta,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            broker: The broker.
            queue_name: The queue's name there.
            processor: What gets the messages.
            link: What the broker's inbox is told of.
            threads: How many jobs run side by side.
            grace: How long those that run may take at the end.
        """
        self._link = link
        self._grace_ms = int(grace.total_seconds() * 1000)

        @dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=queue_name)
        def process(wire: object) -> None:
            processor(wire)

        self._worker = Worker(
            broker, queues={queue_name}, worker_timeout=IDLE_MS, worker_threads=threads
        )
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
        """Tell whether the broker answers and every thread lives."""
        return self._link.is_up and self._threads_alive()

    def _threads_alive(self) -> bool:
        threads = [*self._worker.workers, *self._worker.consumers.values()]
        return all(thread.is_alive() for thread in threads)
