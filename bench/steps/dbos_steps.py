"""Ten steps of DBOS's: in this process, and through a queue to a process of its own.

Run as a program, with the URL of the database, it is that process.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

from bench.steps.failsoft_steps import STEPS, one_more
from failsoft.job_engine.policies.queue import DEFAULT
from tests.servers.processes import Process, wait_until

APPLICATION = "bench"
VERSION = "1"
QUEUE = "bench"
#: As many side by side as a worker of RQ's has slots.
SLOTS = DEFAULT.slots
#: DBOS's default is a second, for which a batch would wait; it shall not count against it.
POLL_SECONDS = 0.1
READY = "ready"

step = DBOS.step()(one_more)


@DBOS.workflow(name="ten_steps")
def ten_steps(number: int) -> int:
    """Take ten steps."""
    for _ in range(STEPS):
        number = step(number)
    return number


def launch(url: str, *, queues: list[str]) -> None:
    """Launch DBOS in this process; it takes from these queues only."""
    config = DBOSConfig(
        name=APPLICATION,
        system_database_url=url,
        application_version=VERSION,
        max_executor_threads=SLOTS,
        log_level="WARNING",
    )
    DBOS(config=config)
    DBOS.listen_queues(queues)
    DBOS.launch()


class InProcess:
    """Call one workflow after the other in this process."""

    def __init__(self, url: str) -> None:
        """Launch DBOS, which prepares its tables."""
        launch(url, queues=[])

    def run(self, number: int) -> None:
        """Run one workflow."""
        if ten_steps(number) != number + STEPS:
            raise AssertionError("expected ten steps")

    def stop(self) -> None:
        """Stop DBOS."""
        DBOS.destroy()


class Worker:
    """A process that takes workflows from a queue, and the client that enqueues them."""

    def __init__(self, url: str, folder: Path) -> None:
        """Start it and wait until it is ready."""
        command = (sys.executable, "-m", "bench.steps.dbos_steps", url)
        self._process = Process(*command, log=folder / "dbos.log", cwd=Path.cwd())
        wait_until(lambda: READY in self._process.output, 60, "DBOS is launched")
        self._client = DBOSClient(system_database_url=url, application_name=APPLICATION)

    def enqueue(self) -> Callable[[int], object]:
        """Return a call that enqueues one workflow."""
        options: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": "ten_steps"}
        return lambda number: self._client.enqueue(options, number)

    def stop(self) -> None:
        """Stop the worker."""
        self._client.destroy()
        self._process.kill()


def main() -> None:
    """Work until killed."""
    launch(sys.argv[1], queues=[QUEUE])
    DBOS.register_queue(QUEUE, worker_concurrency=SLOTS, polling_interval_sec=POLL_SECONDS)
    print(READY, flush=True)
    Event().wait()


if __name__ == "__main__":
    main()
