"""`unique`, `debounce` and `throttle`, on a definition and on a dispatch."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import Debounce, JobContext, JobDefinition, JobState, Throttle, Unique, job
from failsoft.job_engine.errors import (
    DefinitionError,
    DuplicateDispatchError,
    IdempotencyConflictError,
    OptionInvalidError,
)
from tests.unit.support.memory_app import MemoryApp

MINUTE = timedelta(minutes=1)
BY = ("customer",)


class Order(BaseModel):
    customer: str = "acme"
    rows: int = 0


def define(**options: Any) -> JobDefinition[Order, None]:
    @job(name="report", **options)
    def report(payload: Order, ctx: JobContext) -> None: ...

    return report


ONE = define(unique=Unique(by=BY))
PLAIN = define()


class Shop(MemoryApp):
    def order(
        self,
        definition: JobDefinition[Order, None] = ONE,
        /,
        customer: str = "acme",
        **options: Any,
    ) -> JobHandle[None]:
        rows = options.pop("rows", 0)
        return self.dispatcher.dispatch(definition, Order(customer=customer, rows=rows), **options)

    def pass_by(self, span: timedelta) -> None:
        self.clock.advance(span)
        self.stager.tick()


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.workers()
    return shop


def test_while_one_is_there_another_is_the_same_job(shop: Shop) -> None:
    first = shop.order(rows=1)

    same, other = shop.order(rows=2), shop.order(customer="other")

    assert (same.id, same.disposition) == (first.id, "existing")
    assert other.created


def test_when_it_has_ended_the_next_is_a_new_one(shop: Shop) -> None:
    first = shop.order()
    claim = shop.work(shop.rq)
    assert claim is not None
    assert not shop.order().created
    shop.finish(claim)

    assert shop.order().id != first.id


def test_on_duplicate_says_what_a_second_one_does(shop: Shop) -> None:
    first = shop.order(rows=1)

    with pytest.raises(DuplicateDispatchError, match=first.id):
        shop.order(rows=2, on_duplicate="raise")
    replaced = shop.order(rows=3, on_duplicate="replace")

    assert (replaced.id, replaced.disposition) == (first.id, "replaced")
    assert '"rows":3' in first.job().payload


def test_an_idempotency_key_means_the_same_work_also_of_a_unique_job(shop: Shop) -> None:
    shop.order(rows=1, idempotency_key="k")

    with pytest.raises(IdempotencyConflictError):
        shop.order(rows=2, idempotency_key="k")
    assert not shop.order(rows=2, idempotency_key="other").created


def test_a_dispatch_overrides_the_definition(shop: Shop) -> None:
    shop.order(rows=1)

    assert shop.order(rows=2, unique=None).created
    by_rows = Unique(by=("customer", "rows"))
    assert shop.order(rows=1, unique=by_rows).created
    assert not shop.order(rows=1, unique=by_rows).created


def test_no_field_at_all_means_one_job_of_the_definition(shop: Shop) -> None:
    alone = define(unique=Unique(by=()))
    first = shop.order(alone)

    assert shop.order(alone, customer="other").id == first.id


def test_a_key_for_a_period_is_free_when_that_is_over(shop: Shop) -> None:
    once = define(unique=Unique(by=BY, period=MINUTE))
    first = shop.order(once)
    claim = shop.work(shop.rq)
    assert claim is not None
    shop.finish(claim)

    assert shop.order(once).id == first.id
    shop.clock.advance(MINUTE)
    assert shop.order(once).created


def test_throttled_the_first_of_a_period_wins(shop: Shop) -> None:
    throttled = define(throttle=Throttle(by=BY, period=MINUTE))

    handles = [shop.order(throttled, rows=rows) for rows in range(3)]
    shop.clock.advance(MINUTE)
    handles.append(shop.order(throttled, rows=3))

    assert [h.disposition for h in handles] == ["created", "existing", "existing", "created"]
    assert '"rows":0' in handles[1].job().payload


def test_debounced_the_last_wins_when_it_has_been_quiet(shop: Shop) -> None:
    debounced = define(debounce=Debounce(by=BY, period=MINUTE))
    first = shop.order(debounced, rows=1)
    shop.pass_by(MINUTE / 2)
    last = shop.order(debounced, rows=2)
    shop.pass_by(MINUTE / 2)
    assert first.status() is JobState.SCHEDULED

    shop.pass_by(MINUTE / 2)

    assert (last.id, last.disposition) == (first.id, "replaced")
    claim = shop.work(shop.rq)
    assert claim is not None
    assert '"rows":2' in claim.payload


def test_debounced_it_waits_no_longer_than_it_may(shop: Shop) -> None:
    debounced = define(debounce=Debounce(by=BY, period=MINUTE, max_wait=2 * MINUTE))
    handle = shop.order(debounced)
    for _ in range(3):
        shop.pass_by(MINUTE * 0.6)
        shop.order(debounced)
    assert handle.status() is JobState.SCHEDULED

    shop.pass_by(MINUTE * 0.2)

    assert handle.status() is JobState.OFFERED


def test_debounced_what_comes_while_one_runs_is_not_left_out(shop: Shop) -> None:
    debounced = define(debounce=Debounce(by=BY, period=MINUTE))
    first = shop.order(debounced, rows=1)
    shop.pass_by(MINUTE)
    assert shop.work(shop.rq) is not None

    second = shop.order(debounced, rows=2)

    assert second.id != first.id
    assert second.created


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (lambda: Unique(by="customer"), r"a tuple of text, got 'customer'; write \('customer',\)"),  # type: ignore[arg-type]  # the point
        (lambda: Unique(by=BY, while_incomplete=True, period=MINUTE), "got both"),
        (lambda: Unique(by=BY, period=timedelta(0)), "a period above zero"),
        (lambda: Throttle(by=BY, period=-MINUTE), "a period above zero"),
        (lambda: Debounce(by=BY, period=timedelta(0)), "a period above zero"),
        (lambda: Debounce(by=BY, period=MINUTE, max_wait=MINUTE / 2), "max_wait of at least"),
        (lambda: define(unique=Unique(by=("custmer",))), r"Order \(customer, rows\), got custmer"),
        (
            lambda: define(unique=Unique(by=BY), throttle=Throttle(by=BY, period=MINUTE)),
            "one of unique, debounce and throttle",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: Any, expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected):
        policy()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"unique": Unique(by=("custmer",))}, "got custmer"),
        (
            {"unique": Unique(by=BY), "throttle": Throttle(by=BY, period=MINUTE)},
            "one of unique, debounce, throttle",
        ),
        ({"throttle": Throttle(by=BY, period=MINUTE), "on_duplicate": "replace"}, "no replace"),
        ({"debounce": Debounce(by=BY, period=MINUTE), "delay": MINUTE}, "no delay with a debounce"),
        (
            {"debounce": Debounce(by=BY, period=MINUTE), "idempotency_key": "k"},
            "no idempotency_key",
        ),
    ],
)
def test_a_dispatch_that_contradicts_itself_is_refused(
    shop: Shop, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(OptionInvalidError, match=expected):
        shop.order(PLAIN, **options)

    assert not shop.ledger.counts()
