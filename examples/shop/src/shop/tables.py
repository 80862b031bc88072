"""The tables of the shop."""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """What all of them have in common."""


class Product(Table):
    """What is sold.

    Attributes:
        sku: Its name in the stock.
        title: Its name for people.
        cents: What one costs.
        stock: How many there are.
    """

    __tablename__ = "shop_product"
    __table_args__ = (CheckConstraint("stock >= 0"),)

    sku: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    cents: Mapped[int]
    stock: Mapped[int]


class Order(Table):
    """What a customer ordered.

    Attributes:
        number: Its number; the id of its job is made of it.
        sku: The product.
        quantity: How many of it.
        email: Of the customer.
        state: `placed`, `paid`, `sent`, or `cancelled`.
        receipt: Of the payment, once there is one.
    """

    __tablename__ = "shop_order"

    number: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("shop_product.sku"))
    quantity: Mapped[int]
    email: Mapped[str]
    state: Mapped[str] = mapped_column(default="placed")
    receipt: Mapped[str | None] = mapped_column(default=None)


class Reservation(Table):
    """What was taken out of the stock for an order; its row is why that happens once.

    Attributes:
        order: The number of the order.
        sku: The product.
        quantity: How many of it.
    """

    __tablename__ = "shop_reservation"

    order: Mapped[int] = mapped_column(ForeignKey("shop_order.number"), primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("shop_product.sku"))
    quantity: Mapped[int]
