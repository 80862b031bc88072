"""The web application: uvicorn --factory shop.app:create_app."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from pydantic import BaseModel, EmailStr, PositiveInt
from sqlalchemy.ext.asyncio import AsyncSession

from failsoft.api import JobNotFoundError
from failsoft.console import console
from failsoft.contrib.starlette import (
    Dispatch,
    SessionDispatcher,
    failsoft_lifespan,
    session_dispatcher,
)
from shop.database import get_session, tables
from shop.jobs.orders import PARCEL, Parcel, Placed, carry_out
from shop.staff import staff_only
from shop.tables import Order, Product

DbSession = Annotated[AsyncSession, Depends(get_session)]
SessionDispatch = Annotated[SessionDispatcher, Depends(session_dispatcher(get_session))]

#: In cents; more is agreed upon by telephone.
MOST = 1_000_000

routes = APIRouter()


class Wish(BaseModel):
    """What a customer wants.

    Attributes:
        sku: The product.
        quantity: How many of it.
        email: Where the receipt goes.
    """

    sku: str
    quantity: PositiveInt = 1
    email: EmailStr


@routes.post("/orders", status_code=202)
async def place(wish: Wish, session: DbSession, dispatcher: SessionDispatch) -> dict[str, object]:
    """Record an order and its job in one commit: neither is there without the other."""
    product = await session.get(Product, wish.sku)
    if product is None:
        raise HTTPException(404, "no such product")
    order = Order(**wish.model_dump())
    session.add(order)
    await session.flush()
    placed = Placed(number=order.number)
    handle = await dispatcher.dispatch(carry_out, placed, job_id=job_id(order.number))
    if product.cents * wish.quantity > MOST:
        # The order and the job are rolled back with the session.
        raise HTTPException(422, f"expected an order of at most {MOST} cents")
    await session.commit()
    return {"number": order.number, "job": handle.id}


@routes.get("/orders/{number}")
async def state(number: int, session: DbSession, dispatcher: Dispatch) -> dict[str, object]:
    """Return how far an order is, and its job."""
    order = await session.get(Order, number)
    if order is None:
        raise HTTPException(404, "no such order")
    handle = await dispatcher.handle(carry_out, job_id(number))
    return {"state": order.state, "receipt": order.receipt, "job": await handle.status()}


@routes.post("/orders/{number}/parcel", status_code=202)
async def sent(number: int, parcel: Parcel, dispatcher: Dispatch) -> dict[str, str]:
    """Take the news of the warehouse that the parcel is on its way; twice is once."""
    try:
        handle = await dispatcher.handle(carry_out, job_id(number))
    except JobNotFoundError:
        raise HTTPException(404, "no such order") from None
    await dispatcher.send_event(PARCEL, parcel, to=handle, event_id=f"{number}-{parcel.tracking}")
    return {"parcel": parcel.tracking}


def job_id(number: int) -> str:
    """Return the id of an order's job."""
    return f"order-{number}"


def create_app() -> FastAPI:
    """Make the application, with the console for the staff in it."""
    app = FastAPI(lifespan=failsoft_lifespan(jobs=["shop.jobs.orders"], lifespans=[tables]))
    app.include_router(routes)
    app.mount("/console", console(authenticate=staff_only))
    return app
