"""The jobs of an order in memory: workers die, engines fail, the provider refuses, time passes."""

from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from failsoft.api import dispatch_job, send_event
from failsoft.testkit import Testkit
from shop import payments
from shop.database import transaction
from shop.jobs import orders
from shop.jobs.orders import PARCEL, Parcel, Placed, carry_out
from shop.jobs.sorry import cancel_order
from shop.tables import Order, Product

EMAIL = "ada@example.org"


def ordered(quantity: int = 1) -> int:
    with transaction() as session:
        order = Order(sku="kettle", quantity=quantity, email=EMAIL)
        session.add(order)
        session.flush()
        return order.number


def order(number: int) -> Order:
    with transaction() as session:
        session.expire_on_commit = False
        return session.get_one(Order, number)


def stock() -> int:
    with transaction() as session:
        return session.get_one(Product, "kettle").stock


def mails(place: Path) -> list[str]:
    """Return the mails, the oldest first: each as its last line."""
    found = sorted((place / "mail").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    texts = [message_from_bytes(path.read_bytes()).get_payload() for path in found]
    return [str(text).strip() for text in texts]


def test_an_order_is_paid_and_sent(failsoft: Testkit, place: Path) -> None:
    number = ordered(2)
    handle = dispatch_job(carry_out, Placed(number=number))
    failsoft.drain()
    assert (order(number).state, stock()) == ("paid", 1)

    send_event(PARCEL, Parcel(tracking="P-7"), to=handle)
    failsoft.drain()

    assert handle.result() == f"receipt-{number}-9800"
    assert order(number).state == "sent"
    assert mails(place) == [
        f"Thank you! Your receipt is receipt-{number}-9800.",
        "Your parcel is on its way: P-7.",
    ]


def test_it_goes_on_elsewhere_when_the_worker_and_its_broker_die(
    failsoft: Testkit, place: Path
) -> None:
    number = ordered()
    handle = dispatch_job(carry_out, Placed(number=number))
    failsoft.die_after_step("charge")
    failsoft.drain()
    failsoft.fail_engine("rq")
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_ran_on(handle, "rq", "dramatiq")
    failsoft.assert_steps(handle, "reserve", "charge", "paid", "mail-receipt", once=True)
    assert (order(number).state, stock(), len(mails(place))) == ("paid", 2, 1)
    handle.cancel()


def test_a_charge_whose_answer_was_lost_is_looked_up_and_not_repeated(
    failsoft: Testkit,
) -> None:
    number = ordered()
    handle = dispatch_job(carry_out, Placed(number=number))
    failsoft.die_during_step("charge")
    failsoft.drain()
    assert payments.find(number, 4900) == f"receipt-{number}-4900"

    failsoft.travel(minutes=2)
    failsoft.drain()

    # A second charge of the order would have raised.
    assert order(number).receipt == f"receipt-{number}-4900"
    handle.cancel()


@pytest.mark.parametrize("step", ["reserve", "mail-receipt"])
def test_what_was_done_and_not_recorded_is_done_once_all_the_same(
    step: str, failsoft: Testkit, place: Path
) -> None:
    handle = dispatch_job(carry_out, Placed(number=ordered()))
    failsoft.die_during_step(step)
    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    assert (stock(), len(mails(place))) == (2, 1)
    handle.cancel()


def test_a_payment_that_is_refused_gives_the_goods_back(
    failsoft: Testkit, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "LIMIT", 100)
    number = ordered()
    handle = dispatch_job(carry_out, Placed(number=number))
    failsoft.drain(raise_on_failure=False)
    failsoft.drain()

    failsoft.assert_state(handle, "failed")
    failsoft.assert_dispatched(cancel_order, name="carry_out")
    assert (order(number).state, stock()) == ("cancelled", 3)
    assert mails(place) == ["We are sorry: expected at most 100 cents, got 4900"]


def test_what_is_not_in_stock_is_not_charged(failsoft: Testkit, place: Path) -> None:
    number = ordered(4)
    dispatch_job(carry_out, Placed(number=number))
    failsoft.drain(raise_on_failure=False)
    failsoft.drain()

    assert (order(number).state, stock()) == ("cancelled", 3)
    assert not (place / "payments").exists()


def test_a_parcel_that_does_not_come_is_told_of(
    failsoft: Testkit, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time passes in steps of a minute: an hour shows what two weeks would.
    monkeypatch.setattr(orders, "PATIENCE", timedelta(hours=1))
    number = ordered()
    handle = dispatch_job(carry_out, Placed(number=number))
    failsoft.drain()
    failsoft.travel(hours=1)
    failsoft.drain()

    assert handle.result() == f"receipt-{number}-4900"
    assert mails(place)[-1] == "Your parcel is late. We will find out why."
