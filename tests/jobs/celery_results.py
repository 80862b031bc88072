"""A job that may wait for results of Celery's, wherever it runs."""

from celery.result import assert_will_not_block

from failsoft.job_engine import JobContext, job
from tests.jobs.scripted import Script, perform


@job(name="waits-for-celery", queue="threads")
def wait_for_celery(script: Script, ctx: JobContext) -> int:
    assert_will_not_block()
    return perform(script, ctx)
