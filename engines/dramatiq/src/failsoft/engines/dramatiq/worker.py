"""The Dramatiq worker: Dramatiq's own worker, with one queue and one actor, for delivery only.

Dramatiq's retries, time limits, delays, results and dead letters are not used: the ledger has all
of them (rule 15). As many messages are fetched as there are threads (DQ-12).
"""

import threading
from datetime import timedelta
from queue import Empty, PriorityQueue
from typing import Any

import dramatiq
from dramatiq.worker import Worker
from failsoft.engine_api import EngineUnavailableError, Link, WorkerPost
from failsoft.engines.dramatiq.adapter import SafeBroker
from failsoft.engines.dramatiq.closing import close_in_time
from failsoft.engines.dramatiq.messages import ACTOR

#: How often the threads are checked, in seconds.
LOOK_SECONDS = 1.0
#: How much longer than their grace running attempts may take: they end by themselves before.
MARGIN = timedelta(seconds=5)


class _WorkQueue(PriorityQueue[Any]):
    """The messages between the consumer and the threads, which wait here as long as there are none.

    Dramatiq's threads look at it in short intervals, each by itself, to see whether they are to
    end: what these intervals are is Dramatiq's one setting for threads and consumers.
    """

    is_closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next message, whatever the timeout; `Empty` once the queue is closed."""
        if not block:
            return super().get(block=False)
        with self.not_empty:
            while not self._qsize() and not self.is_closed:
                self.not_empty.wait()
            if self.is_closed:
                raise Empty
            return self._get()

    def close(self) -> None:
        """Let every thread that waits go on."""
        with self.not_empty:
            self.is_closed = True
            self.not_empty.notify_all()


class _Worker(Worker):
    """Dramatiq's worker, whose threads wait until they have work, or are to end."""

    def __init__(self, broker: SafeBroker, queue_name: str, threads: int) -> None:
        super().__init__(
            broker,
            queues={queue_name},
            worker_timeout=broker.idle_ms,
            worker_threads=threads,
        )
        self.queue_prefetch = threads
        # Twice: Dramatiq's own name has the type of a queue that cannot be closed.
        self._waited_for = self.work_queue = _WorkQueue()

    def stop(self, timeout: int = 600_000) -> None:
        """Stop; what no thread has begun stays with the broker."""
        for thread in self.workers:
            thread.stop()
        self._waited_for.close()
        super().stop(timeout)


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

        self._worker = _Worker(broker, queue_name, post.slots)
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
