"""What is done about an order that cannot be carried out."""

from failsoft.api import JobContext, JobFailure, job
from shop import mail, orders, stock


@job(queue="default")
def cancel_order(payload: JobFailure, ctx: JobContext) -> None:
    """Put the goods back, and tell the customer: dispatched when `carry_out` has failed."""
    number = int(payload.payload["number"])
    ctx.run("give-back", stock.give_back, number)
    email = ctx.run("cancel", orders.mark, number, "cancelled")
    text, key = f"We are sorry: {payload.error_message}", ctx.idempotency_key("mail")
    ctx.run("mail", mail.send, email, f"Order {number}", text, key)
