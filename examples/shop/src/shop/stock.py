"""The stock: what is reserved for an order, and what comes back."""

from sqlalchemy import update

from failsoft.api import NonRetryableError
from shop.database import transaction
from shop.tables import Order, Product, Reservation


class OutOfStockError(NonRetryableError):
    """There are fewer than the order wants; trying again would not change that."""


def reserve(number: int) -> int:
    """Take what an order wants out of the stock, once, and return what it costs in cents.

    The reservation is a row of its own: a step that was cut off after its commit finds it.

    Raises:
        OutOfStockError: There is not enough.
    """
    with transaction() as session:
        order = session.get_one(Order, number)
        product = session.get_one(Product, order.sku)
        if session.get(Reservation, number) is None:
            taken = update(Product).where(Product.sku == order.sku, Product.stock >= order.quantity)
            found = session.execute(
                taken.values(stock=Product.stock - order.quantity).returning(Product.sku)
            )
            if found.first() is None:
                raise OutOfStockError(f"expected {order.quantity} of {order.sku}, got fewer")
            session.add(Reservation(order=number, sku=order.sku, quantity=order.quantity))
        return product.cents * order.quantity


def give_back(number: int) -> None:
    """Put what was reserved for an order back, if anything was."""
    with transaction() as session:
        reservation = session.get(Reservation, number)
        if reservation is not None:
            session.get_one(Product, reservation.sku).stock += reservation.quantity
            session.delete(reservation)
