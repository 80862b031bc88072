"""A raw RQ worker in a process of its own, and the jobs that it runs.

    python -m bench.lanes.raw_rq_worker URL QUEUE Worker|SimpleWorker [burst]

In a burst it writes the seconds from its first look at the queue to its last end, and those of CPU.
"""

import os
import sys
import time
from pathlib import Path

from redis import Redis
from rq import Queue, SimpleWorker, Worker

#: The variable with the file to which `began` writes.
STARTS = "BENCH_STARTS"


def no_op(number: int) -> int:
    """Do nothing."""
    return number


def began(number: int) -> int:
    """Note when it began, by the clock that all processes of a host share."""
    now = time.monotonic()
    with Path(os.environ[STARTS]).open("a") as starts:
        starts.write(f"{now}\n")
    return number


def main(url: str, queue: str, kind: str, *burst: str) -> None:
    """Work; in a burst until the queue is empty."""
    connection = Redis.from_url(url)
    worker_class = {"Worker": Worker, "SimpleWorker": SimpleWorker}[kind]
    worker = worker_class([Queue(queue, connection=connection)], connection=connection)
    cpu_before, started = sum(os.times()[:4]), time.perf_counter()
    worker.work(burst=bool(burst), logging_level="WARNING")
    print(time.perf_counter() - started, sum(os.times()[:4]) - cpu_before, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
