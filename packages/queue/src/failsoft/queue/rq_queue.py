"""RQ queues for the queue profiles."""

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from failsoft.engine_api import DEFAULT_NAMESPACE, QueueProfile, queue_name
from failsoft.queue.safe_job import SafeJob


def rq_id(namespace: str, job_id: str, epoch: int) -> str:
    """Return the id of the RQ job that carries an offer: `<namespace>_<job_id>-<epoch>`.

    RQ keeps the jobs of all programs on a Redis under their ids alone. A namespace holds no `_`
    and an epoch no `-`, so no two offers have one id.
    """
    return f"{namespace}_{job_id}-{epoch}"


def rq_queue(
    profile: QueueProfile,
    client: Redis,
    namespace: str = DEFAULT_NAMESPACE,
    job_class: type[SafeJob] = SafeJob,
) -> Queue:
    """Return the RQ queue of a profile: JSON only, `SafeJob` only."""
    return Queue(
        queue_name(profile, namespace),
        connection=client,
        job_class=job_class,
        serializer=JSONSerializer,
        default_timeout=-1,
    )
