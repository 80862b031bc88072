"""The payment provider; a folder stands in for it, where a real shop would call an API."""

from failsoft.api import NOT_DONE, NonRetryableError, NotDone
from shop.folders import folder

LIMIT = 100_000


class PaymentRefusedError(NonRetryableError):
    """The provider has refused: the card would be refused again."""


def charge(number: int, cents: int) -> str:
    """Charge the customer of an order, and return the receipt.

    Raises:
        PaymentRefusedError: It is more than the card allows.
        FileExistsError: The order was charged before. That no attempt comes to this is the step's
            part: it is `once`, and `find` is called instead.
    """
    if cents > LIMIT:
        raise PaymentRefusedError(f"expected at most {LIMIT} cents, got {cents}")
    receipt = f"receipt-{number}-{cents}"
    with (folder("payments") / str(number)).open("x", encoding="utf-8") as charged:
        charged.write(receipt)
    return receipt


def find(number: int, cents: int) -> str | NotDone:
    """Return the receipt of an order, if the provider has one: what a cut-off charge came to."""
    charged = folder("payments") / str(number)
    return charged.read_text(encoding="utf-8") if charged.exists() else NOT_DONE
