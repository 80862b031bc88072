"""What a job may do on every engine, and what Celery forbids in the processes of its pool."""

import os
from multiprocessing import get_context

from celery.result import assert_will_not_block

from failsoft.job_engine import JobContext, job
from tests.jobs.scripted import Script, perform


@job(name="waits-for-celery", queue="threads")
def wait_for_celery(script: Script, ctx: JobContext) -> int:
    assert_will_not_block()
    return perform(script, ctx)


@job(name="starts-children", queue="threads")
def start_children(script: Script, ctx: JobContext) -> int:
    children = [get_context(each).Process(target=os.getpid) for each in ("fork", "spawn")]
    for child in children:
        child.start()
    for child in children:
        child.join()
    if any(child.exitcode for child in children):
        raise RuntimeError(f"children ended with {[child.exitcode for child in children]}")
    return perform(script, ctx)
