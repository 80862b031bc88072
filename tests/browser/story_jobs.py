"""The jobs of a small shop, for the story that people see in the console."""

import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from failsoft.api import JobContext, RetryPolicy, job
from failsoft.job_engine import QueueProfile, declare_queue
from tests.servers.processes import PATIENCE, wait_until

QUEUE = declare_queue(
    QueueProfile(
        "orders",
        isolation="thread",
        slots=8,
        lease=timedelta(seconds=8),
        pickup=timedelta(seconds=3),
    )
)


class Order(BaseModel):
    """One order of the shop, or a file of many."""

    order: int = 0
    file: str = ""
    customer_token: str = "tok_live_51"
    #: A file that the first attempt waits for.
    gate: str = ""


@job(name="send_receipt", queue="orders", tags=("mail",))
def send_receipt(payload: Order, ctx: JobContext) -> int:
    ctx.run("render", time.sleep, 0.02)
    return payload.order


@job(name="reserve_stock", queue="orders", tags=("stock",), retry=RetryPolicy(max_attempts=1))
def reserve_stock(payload: Order, ctx: JobContext) -> int:
    raise LookupError(f"warehouse north has no item for order {payload.order}")


@job(name="import_orders", queue="orders", tags=("nightly",))
def import_orders(payload: Order, ctx: JobContext) -> int:
    for number in range(1, 7):
        ctx.run(f"load-{number}", _load, payload, number, ctx.attempt)
        ctx.progress(number * 3000, 18_000, f"load-{number}")
    return 18_000


@job(name="charge_card", queue="orders", tags=("payment",))
def charge_card(payload: Order, ctx: JobContext) -> int:
    return ctx.run("charge", _charge, payload, ctx.attempt, once=True)


def _load(payload: Order, number: int, attempt: int) -> int:
    time.sleep(0.2)
    if number == 3 and attempt == 1:
        _halt(payload)
    return number * 3000


def _charge(payload: Order, attempt: int) -> int:
    _halt(payload)
    return payload.order


def _halt(payload: Order) -> None:
    wait_until(Path(payload.gate).exists, 10 * PATIENCE, "the gate is open")
