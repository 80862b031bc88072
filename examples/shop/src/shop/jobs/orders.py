"""What happens to an order, step by step."""

from datetime import timedelta

from pydantic import BaseModel

from failsoft.api import JobContext, RetryPolicy, job
from shop import mail, orders, payments, stock
from shop.jobs.sorry import cancel_order

#: The event of the warehouse.
PARCEL = "parcel"
PATIENCE = timedelta(days=14)


class Placed(BaseModel):
    """An order that a customer has placed.

    Attributes:
        number: Its number.
    """

    number: int


class Parcel(BaseModel):
    """What the warehouse says when it hands a parcel over.

    Attributes:
        tracking: The number of the parcel.
    """

    tracking: str


@job(queue="default", retry=RetryPolicy(max_attempts=5), on_failure=cancel_order)
def carry_out(payload: Placed, ctx: JobContext) -> str:
    """Reserve, charge and confirm an order, wait for its parcel, and say that it is on its way.

    Returns:
        The receipt of the payment.
    """
    number = payload.number
    cents = ctx.run("reserve", stock.reserve, number)
    # Never begun twice. Where it was cut off, the provider is asked what it came to.
    receipt = ctx.run("charge", payments.charge, number, cents, once=True, verify=payments.find)
    email = ctx.run("paid", orders.mark, number, "paid", receipt)
    title = f"Order {number}"
    text, key = f"Thank you! Your receipt is {receipt}.", ctx.idempotency_key("mail-receipt")
    ctx.run("mail-receipt", mail.send, email, title, text, key)
    parcel = ctx.wait_for_event(PARCEL, Parcel, timeout=PATIENCE)
    if parcel is None:
        text = "Your parcel is late. We will find out why."
    else:
        ctx.run("sent", orders.mark, number, "sent")
        text = f"Your parcel is on its way: {parcel.tracking}."
    ctx.run("mail-parcel", mail.send, email, title, text, ctx.idempotency_key("mail-parcel"))
    return receipt
