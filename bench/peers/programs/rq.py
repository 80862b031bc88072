"""RQ alone: `Worker`, which forks for each job, and with `work simple` `SimpleWorker`."""

import os
import sys
from collections.abc import Sequence

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from bench.peers.program import EMAIL, URL, witness

NO_OP = "bench.peers.programs.rq.no_op"
#: Longer than a run, in seconds: what has ended is counted, and RQ forgets it after 500 s.
KEPT = 86_400


def no_op(number: int, email: str) -> int:
    """Note the run."""
    return witness(number)


class Producer:
    """Enqueues with RQ's own defaults, but for how long a result is kept."""

    def __init__(self) -> None:
        self._queue = _queue()

    def enqueue(self, number: int) -> object:
        """Enqueue one job."""
        return self._queue.enqueue(NO_OP, number, EMAIL, result_ttl=KEPT)

    def many(self, numbers: Sequence[int]) -> object:
        """Enqueue jobs in one pipeline."""
        data = [Queue.prepare_data(NO_OP, (each, EMAIL), result_ttl=KEPT) for each in numbers]
        return self._queue.enqueue_many(data)

    def ended(self) -> int:
        """Return how many jobs stand in the registry of finished jobs."""
        return self._queue.finished_job_registry.get_job_count(cleanup=False)


def _queue() -> Queue:
    return Queue(os.environ["BENCH_QUEUE"], connection=Redis.from_url(os.environ[URL]))


def work() -> None:
    """Work until ended."""
    queue = _queue()
    kind = SimpleWorker if sys.argv[3:] == ["simple"] else Worker
    kind([queue], connection=queue.connection).work()
