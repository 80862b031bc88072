"""An application of a team whose workers are Celery's: a task of its own, and Failsoft's."""

import os

from celery import Celery

from failsoft.engines.celery.tasks import serve

app = Celery("theirs", broker=os.environ["FAILSOFT_CELERY_BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
)
serve(app, "threads")


@app.task(name="theirs.touch")  # type: ignore[untyped-decorator]  # Celery's
def touch(path: str) -> None:
    with open(path, "w"):  # noqa: PTH123 - as a team may write it
        pass
