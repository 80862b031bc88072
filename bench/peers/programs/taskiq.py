"""Taskiq on a stream of Redis, whose entries are acknowledged."""

import asyncio
import os

from taskiq_redis import RedisStreamBroker

from bench.peers.program import EMAIL, URL, become, witness

broker = RedisStreamBroker(os.environ[URL], queue_name=os.environ["BENCH_QUEUE"])


@broker.task(task_name="no_op")
async def no_op(number: int, email: str) -> int:
    """Note the run."""
    return witness(number)


class Producer:
    """Enqueues from a program without a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(broker.startup())

    def enqueue(self, number: int) -> object:
        """Enqueue one task."""
        return self._loop.run_until_complete(no_op.kiq(number, EMAIL))

    def ended(self) -> None:
        """Return that nothing is recorded: Taskiq keeps results only where a backend is given."""


def work() -> None:
    """Work until ended, in one process."""
    become("taskiq", "worker", "bench.peers.programs.taskiq:broker", "--workers", "1")
