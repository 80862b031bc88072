"""Jobs whose step writes into the ledger's database."""

from pydantic import BaseModel
from sqlalchemy import Connection, text
from tenacity import wait_none

from failsoft.job_engine import AsyncJobContext, JobContext, RetryPolicy, job
from tests.features.queues import QUEUE

POLICY = RetryPolicy(max_attempts=2, wait=wait_none())


class Payment(BaseModel):
    """Who pays."""

    payer: str


def pay(connection: Connection, payer: str, *, fails: bool) -> str:
    """Write a row, and fail afterwards if the payload says so."""
    connection.execute(text("INSERT INTO tx_payments (payer) VALUES (:payer)"), {"payer": payer})
    if fails:
        raise ConnectionError("cut off")
    return payer


def pay_at_last(connection: Connection, payer: str, attempt: int) -> str:
    """Fail in the first attempt."""
    return pay(connection, payer, fails=attempt == 1)


@job(name="tx-pay", queue=QUEUE.name, retry=POLICY)
def tx_pay(payload: Payment, ctx: JobContext) -> str:
    """Pay exactly once."""
    return ctx.run("pay", pay_at_last, payload.payer, ctx.attempt, tx=True)


@job(name="tx-pay-async", queue=QUEUE.name, retry=POLICY)
async def tx_pay_async(payload: Payment, ctx: AsyncJobContext) -> str:
    """Pay exactly once, too."""
    return await ctx.run("pay", pay_at_last, payload.payer, ctx.attempt, tx=True)
