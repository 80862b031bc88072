"""The queues of the chaos runs: one of each kind of isolation, everything in haste."""

from datetime import timedelta

from tenacity import wait_fixed

from failsoft.job_engine import QueueProfile, RetryPolicy, declare_queue
from failsoft.job_engine.policies.queue import Isolation

LEASE = timedelta(seconds=2)
MAX_ATTEMPTS = 3
RETRY = RetryPolicy(max_attempts=MAX_ATTEMPTS, wait=wait_fixed(0.3))


def _hasty(name: str, isolation: Isolation, slots: int, *, overflow: bool) -> QueueProfile:
    return QueueProfile(
        name,
        isolation=isolation,
        slots=slots,
        lease=LEASE,
        pickup=timedelta(seconds=1),
        overflow=overflow,
    )


# Forking is slow on a busy machine: what waits for a child may move to the other engine, or the
# drain of a healed system would last as long as its patience with a backlog.
THREADS = declare_queue(_hasty("chaos-threads", "thread", slots=6, overflow=False))
CHILDREN = declare_queue(_hasty("chaos-children", "process", slots=3, overflow=True))
