"""RQ and Redis primitives: one shared client, queues for the profiles, the safe job class."""

from failsoft.queue.client import shared_client
from failsoft.queue.rq_queue import rq_id, rq_queue
from failsoft.queue.safe_job import SafeJob, new_job

__all__ = [
    "SafeJob",
    "new_job",
    "rq_id",
    "rq_queue",
    "shared_client",
]
