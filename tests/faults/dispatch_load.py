"""A steady load of dispatches, while something happens to the ledger."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

from failsoft.dispatcher import JobHandle
from failsoft.job_engine.errors import JobNotFoundError, LedgerUnavailableError
from tests.deployments.deployment import PATIENCE, Deployment
from tests.faults.support import adopt
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import wait_until

#: How long it waits between two dispatches, in seconds.
PAUSE = 0.05
#: How many more jobs must have been accepted before and after what happens.
ENOUGH = 15


@dataclass
class Load:
    """Dispatches one job after the other; a ledger that is away refuses some of them.

    Attributes:
        accepted: When each job was accepted, in seconds since the epoch, and the job.
        refused: The ids of the jobs whose dispatches found the ledger away; a commit whose reply
            was lost may have made them all the same.
        broken: What a dispatch raised besides.
    """

    deployment: Deployment
    accepted: list[tuple[float, JobHandle[int]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Dispatch until it is ended."""
        for number in count():
            if self.ending.wait(PAUSE):
                return
            job_id = f"load-{number}"
            try:
                handle = self.deployment.dispatch(in_thread, Script(steps=2), job_id=job_id)
                self.accepted.append((time.time(), handle))
            except LedgerUnavailableError:
                self.refused.append(job_id)
            except BaseException as error:
                self.broken.append(error)
                raise

    def goes_on(self) -> None:
        """Wait until so many more jobs are accepted."""
        wanted = len(self.accepted) + ENOUGH
        wait_until(lambda: len(self.accepted) >= wanted, PATIENCE, "jobs are accepted")

    def adopt_refused(self) -> None:
        """Adopt the jobs that are there although their dispatch was refused."""
        for job_id in self.refused:
            with suppress(JobNotFoundError):
                adopt(self.deployment, job_id)


@contextmanager
def under_load(deployment: Deployment) -> Iterator[Load]:
    """Dispatch before, while and after a block runs."""
    load = Load(deployment)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        load.goes_on()
        yield load
        load.goes_on()
    finally:
        load.ending.set()
        thread.join()
    assert not load.broken, "expected a dispatch to be accepted, or to find the ledger away"
    load.adopt_refused()


def charged(deployment: Deployment) -> dict[str, tuple[int, int]]:
    """The jobs that an error or a crash was charged to, with how many of each."""
    jobs = [each.job() for each in deployment.handles]
    return {each.id: (each.errors, each.crashes) for each in jobs if each.errors or each.crashes}
