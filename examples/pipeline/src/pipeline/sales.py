"""What was sold: rows of a delivery, and their sums."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

from pydantic import BaseModel, PositiveInt, ValidationError

from failsoft.api import NonRetryableError


class Sale(BaseModel):
    """A row of a delivery.

    Attributes:
        sku: What was sold.
        quantity: How many.
        cents: What one cost.
    """

    sku: str
    quantity: PositiveInt
    cents: PositiveInt


class Sums(BaseModel):
    """The sums of some sales.

    Attributes:
        sold: How many of each product.
        cents: What all of it cost.
    """

    sold: dict[str, int] = {}
    cents: int = 0


class BadDeliveryError(NonRetryableError):
    """A row of a delivery cannot be read; to read it again would not change that."""


def summed(lines: Iterable[str]) -> Sums:
    """Return the sums of the rows of a delivery.

    Args:
        lines: Its lines, the header first.

    Raises:
        BadDeliveryError: A row has no such fields; the message has its number.
    """
    sold, cents = Counter[str](), 0
    for number, row in enumerate(csv.DictReader(lines), start=1):
        sale = _sale(number, row)
        sold[sale.sku] += sale.quantity
        cents += sale.quantity * sale.cents
    return Sums(sold=sold, cents=cents)


def added(parts: Iterable[Sums]) -> Sums:
    """Return the sums of sums."""
    sold, cents = Counter[str](), 0
    for part in parts:
        sold.update(part.sold)
        cents += part.cents
    return Sums(sold=sold, cents=cents)


def as_report(day: date, sums: Sums, missing: Iterable[str]) -> str:
    """Return the report of a day as Markdown.

    Args:
        day: The day.
        sums: What was sold.
        missing: The stores that are not in it.
    """
    rows = [f"| {sku} | {count} |" for sku, count in sorted(sums.sold.items())]
    left_out = ", ".join(missing) or "none"
    head = [f"# {day:%Y-%m-%d}", "", f"Turnover: {sums.cents / 100:.2f}", f"Left out: {left_out}"]
    return "\n".join([*head, "", "| product | sold |", "|---|---|", *rows, ""])


def _sale(number: int, row: Mapping[str, object]) -> Sale:
    try:
        return Sale.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BadDeliveryError(f"row {number}: {field}: {first['msg']}") from error
