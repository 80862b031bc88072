"""Huey on Redis."""

import os

from huey import RedisHuey

from bench.peers.program import EMAIL, URL, become, witness

huey = RedisHuey(os.environ["BENCH_QUEUE"], url=os.environ[URL])


@huey.task()
def no_op(number: int, email: str) -> int:
    """Note the run."""
    return witness(number)


class Producer:
    """Enqueues with Huey's own defaults."""

    def enqueue(self, number: int) -> object:
        """Enqueue one task."""
        return no_op(number, EMAIL)

    def ended(self) -> int:
        """Return how many results are stored."""
        return huey.storage.result_store_size()


def work() -> None:
    """Work until ended, in one process with Huey's one worker thread."""
    become("huey_consumer", "bench.peers.programs.huey.huey")
