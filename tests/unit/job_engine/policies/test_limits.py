"""`concurrency` and `rate_limit`, on a definition and on a dispatch."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import (
    Concurrency,
    JobContext,
    JobDefinition,
    JobState,
    Link,
    RateLimit,
    job,
)
from failsoft.job_engine.errors import DefinitionError, JobDeferredError, OptionInvalidError
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from tests.unit.support.memory_app import MemoryApp

MINUTE = timedelta(minutes=1)
BY = ("customer",)
ONE = Concurrency(limit=1, by=BY)
HOURLY = RateLimit(limit=1, period=60 * MINUTE, by=BY)


class Order(BaseModel):
    customer: str = "acme"
    rows: int = 0


class Visit(BaseModel):
    guest: str = "acme"


def define(name: str = "report", **options: Any) -> JobDefinition[Order, None]:
    @job(name=name, **options)
    def report(payload: Order, ctx: JobContext) -> None: ...

    return report


LIMITED = define(concurrency=ONE)


@pytest.fixture
def app() -> MemoryApp:
    app = MemoryApp()
    app.workers()
    return app


def order(app: MemoryApp, *, definition: Any = LIMITED, **options: Any) -> JobHandle[Any]:
    payload = Order(customer=options.pop("customer", "acme"))
    return app.dispatcher.dispatch(definition, payload, **options)


def begin(app: MemoryApp, handle: JobHandle[Any]) -> JobRecord:
    assert app.claim(handle.job()) is not None
    return handle.job()


def test_the_first_is_offered_at_once_and_the_next_waits_for_its_turn(app: MemoryApp) -> None:
    first, second = order(app), order(app)

    assert first.job().state is JobState.OFFERED
    waiting = second.job()
    assert (waiting.state, waiting.epoch) == (JobState.SCHEDULED, 0)
    assert waiting.run_at == app.clock.now()
    assert [message.job_id for message in app.offered(app.rq)] == [first.id]
    app.stager.tick()
    assert second.status() is JobState.SCHEDULED


def test_who_waits_is_offered_when_there_is_room(app: MemoryApp) -> None:
    first, second = order(app), order(app)
    claim = app.claim(first.job())
    assert claim is not None

    app.finish(claim)
    app.stager.tick()

    assert second.status() is JobState.OFFERED


def test_no_thread_overtakes_one_that_waits(app: MemoryApp) -> None:
    first, second = order(app), order(app)
    first.cancel()
    app.clock.advance(timedelta(milliseconds=1))

    third = order(app)

    assert third.status() is JobState.SCHEDULED
    app.stager.tick()
    assert (second.status(), third.status()) == (JobState.OFFERED, JobState.SCHEDULED)


def test_a_claim_that_finds_no_room_is_deferred_and_comes_again(app: MemoryApp) -> None:
    first, second = order(app), order(app)
    begin(app, first)
    moved = app.ledger.offer(second.job(), OfferPlan("rq", MINUTE))  # by a look that is old
    assert moved is not None

    with pytest.raises(JobDeferredError, match="concurrency: 1 of 1 run"):
        app.claim(moved)

    assert second.status() is JobState.SCHEDULED
    assert second.job().claims == 0
    assert [str(use) for use in second.limits()] == ["concurrency: 1 of 1 run"]


def test_a_rate_counts_what_began(app: MemoryApp) -> None:
    metered = define(rate_limit=HOURLY)
    first, second = order(app, definition=metered), order(app, definition=metered)
    claim = app.claim(first.job())
    assert claim is not None
    app.finish(claim)

    app.stager.tick()
    assert second.status() is JobState.SCHEDULED
    app.clock.advance(60 * MINUTE)
    app.workers()
    app.stager.tick()
    assert second.status() is JobState.OFFERED


def test_values_names_and_definitions_make_the_key() -> None:
    acme, other = Order(customer="acme"), Order(customer="other")

    def key(limit: Concurrency | RateLimit, job: str = "report", payload: Any = acme) -> str:
        return limit.of(job, payload).key

    shared = Concurrency(limit=3, by=BY, name="crm")
    assert key(ONE) == key(ONE, payload=Order(customer="acme", rows=7))
    assert key(ONE) != key(ONE, payload=other)
    assert key(ONE) != key(ONE, "another")
    assert key(shared) == key(shared, "another")
    visit = Concurrency(limit=9, by=("guest",), name="crm")
    assert key(shared) == key(visit, "visit", Visit(guest="acme"))
    assert key(Concurrency(limit=1, name="report")) != key(Concurrency(limit=1))
    assert key(HOURLY) != key(RateLimit(limit=1, period=MINUTE, by=BY))


def test_a_dispatch_may_have_limits_of_its_own(app: MemoryApp) -> None:
    plain = define()
    handles = [
        order(app, definition=plain, concurrency=Concurrency(limit=1, name="own")),
        order(app, definition=plain, concurrency=Concurrency(limit=1, name="own")),
        order(app, concurrency=None, rate_limit=None),
    ]

    states = [handle.status() for handle in handles]
    assert states == [JobState.OFFERED, JobState.SCHEDULED, JobState.OFFERED]
    assert not handles[2].job().limits


def test_the_first_of_a_chain_waits_for_its_turn_too(app: MemoryApp) -> None:
    order(app)

    chain = app.dispatcher.dispatch_chain(Link(LIMITED, Order()), Link(define("next"), Order()))

    first = chain.jobs[0].job()
    assert (first.state, first.run_at) == (JobState.SCHEDULED, app.clock.now())


def test_a_limit_by_what_is_not_known_yet_is_refused(app: MemoryApp) -> None:
    by_rows = define(concurrency=Concurrency(limit=1, by=("rows",)))
    links = Link(define("first"), Order()), Link(by_rows, Order(), result_field="rows")

    with pytest.raises(OptionInvalidError, match="limits by other fields than the result_field"):
        app.dispatcher.dispatch_chain(*links)

    assert not app.ledger.counts()


def test_many_are_recorded_to_wait(app: MemoryApp) -> None:
    outcomes = app.dispatcher.dispatch_many(LIMITED, [Order(), Order()])

    handles = [outcome.handle for outcome in outcomes if outcome.handle]
    assert [handle.status() for handle in handles] == [JobState.SCHEDULED] * 2
    app.stager.tick()
    assert [handle.status() for handle in handles].count(JobState.OFFERED) == 1


def test_a_delayed_job_is_offered_when_its_time_has_come(app: MemoryApp) -> None:
    handle = order(app, delay=MINUTE)
    assert handle.status() is JobState.SCHEDULED
    app.stager.tick()
    assert handle.status() is JobState.SCHEDULED

    app.clock.advance(MINUTE)
    app.workers()
    app.stager.tick()

    assert handle.status() is JobState.OFFERED


def test_the_limits_go_with_a_retry_and_change_with_the_payload(app: MemoryApp) -> None:
    handle = order(app)
    assert handle.cancel()

    other = handle.retry(payload=Order(customer="other"))

    assert other.job().limits == LIMITED.limits(Order(customer="other"))
    assert other.job().limits != handle.job().limits


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, 1.5, None, "2"])
@pytest.mark.parametrize("kind", [Concurrency, partial(RateLimit, period=MINUTE)])
def test_a_limit_that_could_never_hold_is_refused(kind: Any, limit: Any) -> None:
    with pytest.raises(DefinitionError, match=r"\w+: expected a limit (from|as)"):
        kind(limit=limit)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda: RateLimit(limit=1, period=timedelta(0)), "a period above zero"),
        (lambda: Concurrency(limit=1, by="customer"), "a tuple of text"),  # type: ignore[arg-type]
        (
            lambda: Concurrency(limit=1, name=""),
            "a name of 1 to 128 characters",
        ),
        (lambda: define(concurrency=Concurrency(limit=1, by=("nobody",))), "fields of Order"),
        (
            lambda: define(rate_limit=RateLimit(limit=1, period=MINUTE, by=("nobody",))),
            "fields of Order",
        ),
    ],
)
def test_what_is_wrong_is_said_at_the_definition(wrong: Any, expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected):
        wrong()


def test_what_is_wrong_is_said_at_the_dispatch_and_nothing_is_stored(app: MemoryApp) -> None:
    with pytest.raises(OptionInvalidError, match="fields of Order"):
        order(app, concurrency=Concurrency(limit=1, by=("nobody",)))

    assert not app.ledger.counts()
