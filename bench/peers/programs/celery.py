"""Celery on Redis, with late acknowledgements."""

import os

from celery import Celery

from bench.peers.program import EMAIL, URL, become, witness

app = Celery("bench", broker=os.environ[URL])
app.conf.task_default_queue = os.environ["BENCH_QUEUE"]


@app.task(name="no_op", acks_late=True)
def no_op(number: int, email: str) -> int:
    """Note the run."""
    return witness(number)


class Producer:
    """Enqueues with Celery's own defaults."""

    def enqueue(self, number: int) -> object:
        """Enqueue one task."""
        return no_op.delay(number, EMAIL)

    def ended(self) -> None:
        """Return that nothing is recorded: Celery keeps results only where a backend is given."""


def work() -> None:
    """Work until ended, in one child process."""
    become("celery", "-A", "bench.peers.programs.celery", "worker", "--concurrency", "1")
