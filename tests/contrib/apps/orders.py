"""Jobs of the apps."""

from pydantic import BaseModel

from failsoft.api import JobContext, job


class Order(BaseModel):
    number: int = 0


@job(name="contrib-pay")
def pay(payload: Order, ctx: JobContext) -> int:
    """Return the number of the order."""
    return payload.number
