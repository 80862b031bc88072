"""The jobs of the chaos runs: the same for both engines and both kinds of isolation."""

from datetime import timedelta

from failsoft.job_engine import (
    Concurrency,
    Cron,
    Every,
    JobContext,
    JobFailure,
    RateLimit,
    Unique,
    job,
)
from tests.chaos.workload.handlers import HOOK, INVOKED, perform, perform_async
from tests.chaos.workload.queues import CHILDREN, RETRY, THREADS
from tests.chaos.workload.script import Script, script_of_hook


@HOOK.bind
def hook(failure: JobFailure, ctx: JobContext) -> int:
    """Do what is done for each job that failed."""
    return perform(script_of_hook(failure), ctx)


in_thread = job(name="chaos-in-thread", queue=THREADS.name, retry=RETRY, on_failure=hook)(perform)
in_child = job(name="chaos-in-child", queue=CHILDREN.name, retry=RETRY, on_failure=hook)(perform)
in_loop = job(name="chaos-in-loop", queue=THREADS.name, retry=RETRY, on_failure=hook)(perform_async)
invoked = INVOKED.bind(perform)
one_each = job(
    name="chaos-one-each",
    queue=THREADS.name,
    retry=RETRY,
    on_failure=hook,
    unique=Unique(by=("customer",)),
)(perform)

two_at_once = job(
    name="chaos-two-at-once",
    queue=THREADS.name,
    retry=RETRY,
    on_failure=hook,
    concurrency=Concurrency(limit=2, by=("customer",)),
)(perform)
in_measure = job(
    name="chaos-in-measure",
    queue=CHILDREN.name,
    retry=RETRY,
    on_failure=hook,
    rate_limit=RateLimit(limit=3, period=timedelta(seconds=1), by=("customer",)),
)(perform)

every_tick = job(
    name="chaos-every-tick",
    queue=THREADS.name,
    retry=RETRY,
    schedule=Every(timedelta(seconds=3), missed="all"),
)(perform)
no_overlap = job(
    name="chaos-no-overlap",
    queue=THREADS.name,
    retry=RETRY,
    schedule=Every(timedelta(seconds=2), overlap="skip", payload=Script(paces=[2.0])),
)(perform)
by_the_minute = job(
    name="chaos-by-the-minute", queue=THREADS.name, retry=RETRY, schedule=Cron("* * * * *")
)(perform)

JOBS = (in_thread, in_child, in_loop)
LIMITED = (two_at_once, in_measure)
SCHEDULED = {each.name: each for each in (every_tick, no_overlap, by_the_minute)}
#: The names of the definitions whose failures set off the hook.
WITH_A_HOOK = frozenset(each.name for each in (*JOBS, *LIMITED, one_each, invoked))
#: The jobs that no request made: their labels are made of what did.
UNREQUESTED = frozenset({hook.name, invoked.name, *SCHEDULED})
