"""The queues of the features tests."""

from datetime import timedelta

from failsoft.job_engine import QueueProfile, declare_queue

#: Wide, so that tests and jobs that wait do not stand in each other's way.
QUEUE = declare_queue(
    QueueProfile(
        "features",
        isolation="thread",
        slots=12,
        lease=timedelta(seconds=10),
        pickup=timedelta(seconds=2),
    )
)

#: A queue whose workers never come.
UNSERVED = declare_queue(QueueProfile("deserted", pickup=timedelta(seconds=30)))
