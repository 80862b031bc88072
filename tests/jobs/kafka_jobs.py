"""Jobs that are made of records of Kafka's topics, and put records into the outbox."""

import os
from typing import Any

from pydantic import BaseModel

from failsoft.api import JobContext, job
from failsoft.engines.kafka import consumes, produce

#: The topics of one test.
PAID, SHIPPED = (os.environ.get(name, "unused") for name in ("_TEST_PAID", "_TEST_SHIPPED"))


class Order(BaseModel):
    order: int


def ship(connection: Any, order: Order) -> int:
    produce(connection, SHIPPED, {"order": order.order}, str(order.order % 3))
    return order.order


@consumes(PAID, group=os.environ.get("_TEST_GROUP"))
@job(name="ship_order")
def ship_order(payload: Order, ctx: JobContext) -> int:
    return ctx.run("ship", ship, payload, tx=True)
