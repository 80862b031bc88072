"""One job of three steps, in processes that write their spans to a file."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from tenacity import wait_none

from failsoft.job_engine import JobContext, QueueProfile, RetryPolicy, declare_queue, job
from failsoft.telemetry import instrument
from tests.otel.sentry_file import SENTRY, report_to
from tests.otel.span_file import VARIABLE, UnreachableProcessor, provider_to
from tests.servers.processes import wait_until

QUEUE = declare_queue(
    QueueProfile("traced", slots=2, lease=timedelta(seconds=2), pickup=timedelta(seconds=5))
)
#: The same, in a process for each attempt.
ALONE = declare_queue(QueueProfile("traced-alone", slots=1, isolation="process"))
#: The same, with a lease that is over before spans are given up that cannot be sent.
HURRIED = declare_queue(
    QueueProfile("traced-hurried", slots=1, isolation="process", lease=timedelta(seconds=2))
)
STEPS = ("reserve", "charge", "ship")
#: Longer than any test waits.
FOR_EVER = 1000

if VARIABLE in os.environ:
    provider = provider_to(Path(os.environ[VARIABLE]))
    if SENTRY in os.environ:
        report_to(Path(os.environ[SENTRY]), provider)
    instrument(tracer_provider=provider)


class Order(BaseModel):
    """An order.

    Attributes:
        gate: A file that the step `charge` waits for once, and beside which it leaves a mark; none
            where empty.
    """

    gate: str = ""


@job(name="traced", queue=QUEUE.name, retry=RetryPolicy(max_attempts=2, wait=wait_none()))
def fulfil(order: Order, ctx: JobContext) -> None:
    """Carry out an order; the first attempt at one with a gate fails before its last step."""
    for step in STEPS:
        if step == STEPS[-1] and order.gate and ctx.attempt == 1:
            raise OSError("the shop is closed")
        ctx.run(step, take, order, step)


@job(name="traced_alone", queue=ALONE.name)
def fulfil_alone(order: Order, ctx: JobContext) -> None:
    """Carry out an order in a process of its own."""
    for step in STEPS:
        ctx.run(step, take, order, step)


@job(name="traced_hurried", queue=HURRIED.name)
def fulfil_hurried(order: Order, ctx: JobContext) -> None:
    """Carry out an order in a process that exits when it gives its spans up."""
    provider.add_span_processor(UnreachableProcessor())
    for step in STEPS:
        ctx.run(step, take, order, step)


@job(name="traced_dying", queue=ALONE.name)
def fulfil_dying(order: Order, ctx: JobContext) -> None:
    """Carry out an order in a process that is killed in the second step of the first attempt."""
    for step in STEPS:
        ctx.run(step, die if step == "charge" and ctx.attempt == 1 else int)


def die() -> None:
    """End this process as the kernel does that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def take(order: Order, step: str) -> None:
    """Do one step."""
    mark = Path(order.gate).with_suffix(".met") if order.gate else None
    if step == "charge" and mark is not None and not mark.exists():
        mark.touch()
        wait_until(Path(order.gate).exists, FOR_EVER, f"gate {order.gate}")
