"""RQ's registries as a worker of ours keeps them: enough for `rq info`, and little more.

Failsoft's jobs have no result, dependents, repeats, callbacks or rate limit in RQ (rule 15), so
nothing of these is read. Any number of jobs are taken in one round trip, and end in one.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from redis import Redis

from failsoft.engines.rq import scripts
from failsoft.queue.safe_job import MAX_DATA_BYTES
from rq import Queue
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import current_timestamp, now, utcformat

#: How long an execution is registered after its last heartbeat, in seconds: as long as RQ's own
#: worker registers one of a job without a time-out.
EXECUTION_TTL = 90
#: The longest id of a job in bytes: namespace, the ledger's id, and a number.
MAX_ID_BYTES = 512
#: The bytes of an execution's id, which is written in hexadecimal digits.
ID_BYTES = 16


class Became(StrEnum):
    """What became of a job that was taken, for RQ."""

    DONE = "done"
    REFUSED = "refused"
    BACK = "back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that a worker has taken, and not ended.

    Attributes:
        id: RQ's id of it, as it stands in Redis.
        execution_id: RQ's id of this execution of it.
        data: What its hash holds of the message.
        at: When it was taken, on the steady clock.
    """

    id: bytes
    execution_id: bytes
    data: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> bytes:
        """Return its name in RQ's registries."""
        return self.id + b":" + self.execution_id

    @property
    def job_id(self) -> str:
        """Return RQ's id of it."""
        return self.id.decode(errors="replace")


class Batch(NamedTuple):
    """What a script took from a queue.

    Attributes:
        is_suspended: Whether RQ is suspended, and nothing was taken.
        refused: How many were longer than anything of ours, and were deleted.
        jobs: The jobs, in the order of the queue.
    """

    is_suspended: bool
    refused: int
    jobs: Sequence[Taken]


class End(NamedTuple):
    """The end of a job, for RQ.

    Attributes:
        job: The job.
        became: What became of it.
        error: The error of one that failed.
    """

    job: Taken
    became: Became
    error: str = ""


class Registries:
    """What one worker writes to RQ's registries about its jobs."""

    def __init__(self, client: Redis, queue: Queue, worker: Any) -> None:
        """Write for a worker of a queue.

        Args:
            client: Redis.
            queue: The queue.
            worker: RQ's worker.
        """
        self._name: str = worker.name
        self._keys = (
            queue.key,
            queue.started_job_registry.key,
            worker.key,
            worker.executions_key,
            WORKERS_SUSPENDED,
        )
        self._take = client.register_script(scripts.TAKE)
        self._end = client.register_script(scripts.END)
        self._renew = client.register_script(scripts.RENEW)

    def take(self, most: int) -> Batch:
        """Take up to that many jobs from the queue; they are registered as running.

        Raises:
            RedisError: Redis did not answer: jobs may have been taken all the same, and `renew`
                puts them back.
        """
        ids = os.urandom(ID_BYTES * most).hex()
        limits = MAX_ID_BYTES, MAX_DATA_BYTES
        words = most, ids, self._name, EXECUTION_TTL, *_moment(), *limits
        suspended, refused, *found = self._take(self._keys, words)
        jobs = [Taken(*found[at : at + 3]) for at in range(0, len(found), 3)]
        return Batch(bool(suspended), refused, jobs)

    def end(self, ends: Sequence[End]) -> None:
        """Record the ends of jobs; each of them is recorded once, however often this is called.

        Raises:
            RedisError: Redis did not answer.
        """
        ended_at = time.monotonic()
        words: list[bytes | str | float] = []
        # The last first: what is put back is to stand in the queue as it stood there before.
        for job, became, _ in sorted(ends, key=lambda end: end.job.at, reverse=True):
            words += (job.id, job.execution_id, became.value, ended_at - job.at)
        self._end(self._keys, words)

    def renew(self, held: Iterable[Taken]) -> int:
        """Renew the heartbeats of the jobs that the worker has; put back those that it has not.

        Returns:
            How many were put back: a script took them whose reply was lost.

        Raises:
            RedisError: Redis did not answer.
        """
        words: list[bytes | str | float] = [EXECUTION_TTL, *_moment()]
        words += [job.key for job in held]
        found: Any = self._renew(self._keys, words)
        return int(found)


def _moment() -> tuple[int, float, str]:
    moment = now()
    return current_timestamp(), moment.timestamp(), utcformat(moment)
