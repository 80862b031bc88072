"""The Dramatiq worker: Dramatiq's own worker, with one queue and one actor, for delivery only.

Dramatiq's retries, time limits, delays, results and dead letters are not used: the ledger has all
of them (rule 15). As many messages are fetched as there are threads (DQ-12).
"""

import threading
from datetime import timedelta

import dramatiq
from dramatiq.worker import Worker
from failsoft.engine_api import EngineUnavailableError, Link, WorkerPost
from failsoft.engines.dramatiq.adapter import SafeBroker
from failsoft.engines.dramatiq.closing import close_in_time
from failsoft.engines.dramatiq.messages import ACTOR

#: How long an idle consumer waits between two looks, in milliseconds.
IDLE_MS = 200
#: How often the threads are checked, in seconds.
LOOK_SECONDS = 0.5
#: How much longer than their grace running attempts may take: they end by themselves before.
MARGIN = timedelta(seconds=5)


class ThreadWorker:
    """Run the jobs of one queue in the threads of one Dramatiq worker.

    Args:
        broker: The broker.
        queue_name: The queue's name there.
        post: What is called with its messages.
        link: Notified by the broker's inbox whether the broker answers.
    """

    def __init__(self, broker: SafeBroker, queue_name: str, post: WorkerPost, link: Link) -> None:
        self._link = link
        self._grace_ms = int((post.grace + MARGIN).total_seconds() * 1000)

        @dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name=queue_name)
        def process(wire: object) -> None:
            post.process(wire)

        self._worker = Worker(
            broker, queues={queue_name}, worker_timeout=IDLE_MS, worker_threads=post.slots
        )
        self._worker.queue_prefetch = post.slots
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
        close_in_time(self._broker.close)

    def is_serving(self) -> bool:
        """Whether the broker answers and every thread is alive."""
        return self._link.is_up and self._threads_alive()

    def _threads_alive(self) -> bool:
        threads = [*self._worker.workers, *self._worker.consumers.values()]
        return all(thread.is_alive() for thread in threads)
