"""The state of an order."""

from shop.database import transaction
from shop.tables import Order


def mark(number: int, state: str, receipt: str | None = None) -> str:
    """Set the state of an order, and return the address of its customer."""
    with transaction() as session:
        order = session.get_one(Order, number)
        order.state = state
        order.receipt = receipt or order.receipt
        return order.email
