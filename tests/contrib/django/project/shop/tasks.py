"""The tasks of the project's app."""

from datetime import timedelta
from pathlib import Path

from failsoft.api import JobContext, NonRetryableError, RetryPolicy, job
from failsoft.contrib.django import StepContext
from failsoft.contrib.django.compat import AnyContext, task
from tests.contrib.apps.orders import Order
from tests.deployments.effect_log import BEGUN, note
from tests.servers.processes import wait_until

#: The steps of `travels`.
TRAVELS = ("leave", "travel", "arrive")


@task()
def add(a: int, b: int = 0) -> int:
    return a + b


@task()
async def add_async(a: int, b: int = 0) -> int:
    return a + b


@task(backend="joins", priority=7)
def joined(a: int) -> int:
    return a


@task()
def fails() -> None:
    raise ValueError(ValueError("of the task"))


@task(retry=RetryPolicy(max_attempts=2, wait=[timedelta(milliseconds=1)]))
def fails_twice() -> None:
    raise LookupError("again")


@task()
def exits() -> None:
    raise SystemExit(1)


@task()
def interrupts() -> None:
    raise KeyboardInterrupt


@task()
def fails_for_good() -> None:
    raise NonRetryableError("never")


@task()
def returns_what_json_has_not() -> object:
    return lambda: True


@task()
def returns_too_much() -> str:
    return "x" * 1_000_000


@task(takes_context=True)
def says_who(context: AnyContext) -> list[object]:
    return [context.task_result.id, context.attempt, context.task_result.worker_ids]


@task(takes_context=True, steps=True)
def in_steps(context: StepContext, number: int) -> int:
    first = context.run("first", lambda: number + 1)
    context.sleep("a while", timedelta(milliseconds=1))
    return int(context.run("second", lambda: first * 2))


@task(takes_context=True, steps=True)
def travels(context: StepContext, gate: str) -> int:
    """Take the steps; the second one waits in the first attempt for a gate that stays shut."""
    for step in TRAVELS:
        context.run(step, _take, step, context.job.job_id, context.job.attempt, gate)
    return len(TRAVELS)


def _take(step: str, job_id: str, attempt: int, gate: str) -> None:
    note(BEGUN, job_id, step, attempt)
    if step == TRAVELS[1] and attempt == 1:
        wait_until(Path(gate).exists, 1000, f"gate {gate}")


@task(unique=True)
def one_at_a_time(a: int) -> int:
    return a


@task(timeout=timedelta(seconds=7), tags=("slow",))
def limited() -> None:
    pass


def no_task() -> None:
    raise AssertionError("it was called")


@job(name="shop-job")
def shop_job(payload: Order, ctx: JobContext) -> None:
    pass
