"""One job with steps, a `once` step, a sleep and a limit, which any two engines may carry out."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from failsoft.job_engine import Concurrency, JobContext, QueueProfile, declare_queue, job
from tests.deployments.effect_log import BEGUN, ENDED, note
from tests.servers.processes import wait_until

QUEUE = declare_queue(
    QueueProfile("travelling", slots=4, lease=timedelta(seconds=2), pickup=timedelta(seconds=5))
)
#: The steps in their order; the attempt on the first engine gets no further than `charge`.
STEPS = ("reserve", "after the sleep", "charge", "ship")
#: Longer than any test waits.
FOR_EVER = 1000


class Order(BaseModel):
    """An order of a tenant.

    Attributes:
        tenant: Whose; at most one order of a tenant is carried out at a time.
        gate: A file that the step `charge` of the first attempt waits for; none where empty.
    """

    tenant: str
    gate: str = ""


@job(name="travelling", queue=QUEUE.name, concurrency=Concurrency(limit=1, by=("tenant",)))
def fulfil(order: Order, ctx: JobContext) -> int:
    """Carry out an order; return the sum of what its steps returned."""
    first = ctx.run("reserve", take, order, "reserve", ctx.job_id, ctx.attempt, once=True)
    ctx.sleep("nap", timedelta(milliseconds=100))
    rest = [ctx.run(step, take, order, step, ctx.job_id, ctx.attempt) for step in STEPS[1:]]
    return first + sum(rest)


def take(order: Order, step: str, job_id: str, attempt: int) -> int:
    """Do one step, between two lines for the effect log; return its number."""
    note(BEGUN, job_id, step, attempt)
    if step == "charge" and order.gate and not Path(order.gate).with_suffix(".met").exists():
        Path(order.gate).with_suffix(".met").touch()
        wait_until(Path(order.gate).exists, FOR_EVER, f"gate {order.gate}")
    note(ENDED, job_id, step, attempt)
    return STEPS.index(step) + 1
