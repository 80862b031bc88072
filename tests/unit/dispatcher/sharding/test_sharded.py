"""Dispatching to several ledgers: where each job goes, and what may not cross is refused."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import (
    ChainHandle,
    Dispatcher,
    DispatchRequest,
    ShardedDispatcher,
    dispatch_job,
    use_dispatcher,
)
from failsoft.dispatcher import dispatch_chain as default_chain
from failsoft.dispatcher.options.shards import choose
from failsoft.job_engine import (
    Concurrency,
    Debounce,
    Link,
    RateLimit,
    Throttle,
    Unique,
    declare_job,
)
from failsoft.job_engine.errors import (
    JobNotFoundError,
    LedgerUnavailableError,
    OptionInvalidError,
)
from failsoft.job_engine.records.groups import GroupResult
from failsoft.job_engine.records.states import JobState
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

NAMES = ("a", "b")
#: A shard of each ledger.
IN_A, IN_B = "tenant-2", "tenant-1"
HOUR = timedelta(hours=1)


class Sharded:
    """Two apps in memory, each with a ledger of its own, under one dispatcher."""

    def __init__(self) -> None:
        self.apps = {name: MemoryApp() for name in NAMES}
        self.opened: list[str] = []
        self.away: set[str] = set()
        self.dispatcher = ShardedDispatcher(NAMES, self._open)

    def _open(self, name: str) -> Dispatcher:
        if name in self.away:
            raise LedgerUnavailableError(f"{name} is away")
        self.opened.append(name)
        return self.apps[name].dispatcher

    def jobs(self) -> dict[str, int]:
        return {name: len(app.ledger.list_jobs()) for name, app in self.apps.items()}


@pytest.fixture
def sharded() -> Sharded:
    return Sharded()


def test_the_shards_of_these_tests_are_in_different_ledgers() -> None:
    assert (choose(NAMES, IN_A), choose(NAMES, IN_B)) == NAMES


def test_each_job_goes_to_the_ledger_of_its_shard_and_its_handle_finds_it(
    sharded: Sharded,
) -> None:
    handles = [
        sharded.dispatcher.dispatch(WELCOME, Mail(), shard=shard) for shard in (IN_A, IN_B, IN_B)
    ]

    assert sharded.jobs() == {"a": 1, "b": 2}
    assert {each.status() for each in handles} == {JobState.OFFERED}
    found = sharded.dispatcher.handle(WELCOME, handles[-1].id)
    found.cancel()
    assert handles[-1].status() is JobState.CANCELLED


def test_a_ledger_is_opened_when_it_is_used_and_once(sharded: Sharded) -> None:
    for _ in range(3):
        sharded.dispatcher.dispatch(WELCOME, Mail(), shard=IN_B)

    assert sharded.opened == ["b"]


def test_a_ledger_that_is_away_keeps_no_other_from_taking_jobs(sharded: Sharded) -> None:
    sharded.away = {"a"}

    handle = sharded.dispatcher.dispatch(WELCOME, Mail(), shard=IN_B)
    with pytest.raises(LedgerUnavailableError):
        sharded.dispatcher.dispatch(WELCOME, Mail(), shard=IN_A)
    assert sharded.dispatcher.handle(WELCOME, handle.id).status() is JobState.OFFERED
    # It may be in the ledger that is away.
    with pytest.raises(LedgerUnavailableError):
        sharded.dispatcher.handle(WELCOME, "unheard-of")
    sharded.away = set()
    sharded.dispatcher.dispatch(WELCOME, Mail(), shard=IN_A)
    with pytest.raises(JobNotFoundError, match="one of the ledgers a, b"):
        sharded.dispatcher.handle(WELCOME, "unheard-of")


class Order(BaseModel):
    tenant: str = "another"
    number: int = 7


LINKS = [Link(WELCOME, Mail()), Link(WELCOME, Mail())]
ALONE = declare_job("alone", payload=Order, unique=Unique(by=("tenant", "number")))
LIMITED = declare_job("limited", payload=Order, concurrency=Concurrency(limit=2))
COMPLETION = declare_job("over", payload=GroupResult, concurrency=Concurrency(limit=2))


@pytest.mark.parametrize(
    ("dispatch", "expected"),
    [
        (lambda d: d.dispatch(WELCOME, Mail()), "expected a shard="),
        (lambda d: d.dispatch(WELCOME, Mail(), shard=""), "expected a shard"),
        (lambda d: d.dispatch(WELCOME, Mail(), shard=7), "expected a shard"),
        (lambda d: d.dispatch(WELCOME, Mail(), shard="x" * 129), "expected a shard"),
        (lambda d: d.dispatch_many(WELCOME, [Mail()]), "expected a shard="),
        (lambda d: d.dispatch_many(WELCOME, []), "expected a shard="),
        (lambda d: d.dispatch_chain(*LINKS), "expected a shard="),
        (lambda d: d.dispatch_group(LINKS), "expected a shard="),
        (lambda d: d.send_event("paid", key="order-7"), "expected a shard="),
        (lambda d: d.schedules(), r"call ledger\(name\)\.schedules\(\)"),
        (lambda d: d.ledger("c"), "expected one of the ledgers a, b, got c"),
        (
            lambda d: d.dispatch(WELCOME, Mail(), shard=IN_A, idempotency_key="order-7"),
            "expected idempotency_key to begin with its shard, as 'tenant-2-1', got 'order-7'",
        ),
        (
            lambda d: d.dispatch(WELCOME, Mail(), shard=IN_A, idempotency_key="tenant-20:7"),
            "expected idempotency_key to begin with its shard",
        ),
        (lambda d: d.dispatch(WELCOME, Mail(), shard=IN_A, job_id="my-job"), "expected job_id"),
        (lambda d: d.dispatch_chain(*LINKS, shard=IN_A, chain_id="nightly"), "expected chain_id"),
        (lambda d: d.dispatch_group(LINKS, shard=IN_A, group_id="all"), "expected group_id"),
        (
            lambda d: d.dispatch_chain(Link(WELCOME, Mail(), job_id="mine"), shard=IN_A),
            "expected job_id",
        ),
        (lambda d: d.dispatch_chain(Link(LIMITED, Order()), shard=IN_A), "expected concurrency by"),
        (lambda d: d.dispatch_group([Link(LIMITED, Order())], shard=IN_A), "expected concurrency"),
        (lambda d: d.dispatch(LIMITED, Order(), shard=IN_A), r"got by=\(\): it would hold within"),
        (
            lambda d: d.dispatch(ALONE, Order(), shard=IN_A),
            r"expected unique by .* got by=\('tenant', 'number'\)",
        ),
        (
            lambda d: d.dispatch(
                WELCOME, Mail(), shard=IN_A, rate_limit=RateLimit(limit=1, period=HOUR)
            ),
            "expected rate_limit by",
        ),
        (
            lambda d: d.dispatch(
                WELCOME, Mail(), shard=IN_A, debounce=Debounce(by=("user_id",), period=HOUR)
            ),
            "expected debounce by",
        ),
        (
            lambda d: d.dispatch(
                WELCOME, Mail(), shard=IN_A, throttle=Throttle(by=("user_id",), period=HOUR)
            ),
            "expected throttle by",
        ),
        (
            lambda d: d.dispatch_many(
                WELCOME, [DispatchRequest(Mail(), {"shard": each}) for each in (IN_A, IN_B)]
            ),
            "expected items of one shard, got 2",
        ),
        (
            lambda d: d.dispatch_many(
                WELCOME, [Mail(), DispatchRequest(Mail(), {"idempotency_key": "7"})], shard=IN_A
            ),
            "expected idempotency_key to begin",
        ),
        (lambda d: d.dispatch(WELCOME, Mail(), shard=IN_A, unique="yes"), "expected"),
        (lambda d: d.dispatch("welcome", Mail(), shard=IN_A), "expected a job"),
    ],
)
def test_what_may_not_cross_is_refused_before_anything_is_stored(
    sharded: Sharded, dispatch: Callable[[Any], object], expected: str
) -> None:
    with pytest.raises(OptionInvalidError, match=expected):
        dispatch(sharded.dispatcher)

    assert sharded.jobs() == {"a": 0, "b": 0}
    assert sharded.opened == []


def test_keys_and_limits_that_hold_their_shard_are_taken(sharded: Sharded) -> None:
    mine = Order(tenant=IN_A)
    first = sharded.dispatcher.dispatch(ALONE, mine, shard=IN_A)
    again = sharded.dispatcher.dispatch(ALONE, mine, shard=IN_A)
    limited = Concurrency(limit=1, by=("tenant",))
    sharded.dispatcher.dispatch(LIMITED, mine, shard=IN_A, concurrency=limited)
    keyed = [
        sharded.dispatcher.dispatch(WELCOME, Mail(), shard=IN_A, idempotency_key=f"{IN_A}:7")
        for _ in range(2)
    ]
    sharded.dispatcher.dispatch(LIMITED, mine, shard=IN_A, concurrency=None)

    assert (again.id, again.disposition) == (first.id, "existing")
    assert keyed[0].id == keyed[1].id
    assert sharded.jobs() == {"a": 4, "b": 0}


def test_flows_and_many_jobs_are_whole_in_one_ledger(sharded: Sharded) -> None:
    dispatcher = sharded.dispatcher
    chain: ChainHandle[Any] = dispatcher.dispatch_chain(
        *LINKS, shard=IN_B, chain_id=f"{IN_B}-nightly"
    )
    group = dispatcher.dispatch_group(LINKS, shard=IN_B)
    many = dispatcher.dispatch_many(
        WELCOME, [Mail(), DispatchRequest(Mail(), {"priority": 3})], shard=IN_B
    )

    assert sharded.jobs() == {"a": 0, "b": 6}
    assert [each.status() for each in chain.jobs] == [JobState.OFFERED, JobState.SCHEDULED]
    assert group.progress().total == 2
    assert all(outcome.handle and not outcome.error for outcome in many)


def test_pausing_and_retrying_many_reach_every_ledger(sharded: Sharded) -> None:
    dispatcher = sharded.dispatcher

    dispatcher.pause("queue", "default", reason="a test")
    assert [len(app.ledger.pauses()) for app in sharded.apps.values()] == [1, 1]
    assert dispatcher.unpause("queue", "default") is True
    assert dispatcher.unpause("queue", "default") is False
    assert [len(app.ledger.pauses()) for app in sharded.apps.values()] == [0, 0]
    assert dispatcher.retry_many().retried == ()


def test_an_event_reaches_its_job_wherever_that_is(sharded: Sharded) -> None:
    handle = sharded.dispatcher.dispatch(WELCOME, Mail(), shard=IN_B)

    assert sharded.dispatcher.send_event("paid", to=handle) == 0
    assert sharded.dispatcher.send_event("paid", to=handle.id) == 0
    assert sharded.dispatcher.send_event("paid", key="order-7", shard=IN_A) == 0


def test_one_ledger_takes_a_shard_and_changes_nothing() -> None:
    app = MemoryApp()
    use_dispatcher(app.dispatcher)
    try:
        dispatch_job(LIMITED, Order(), shard=IN_A, idempotency_key="order-7")
        default_chain(*LINKS, shard=IN_B, chain_id="nightly")
        app.dispatcher.dispatch_group(LINKS, shard=IN_B)
        app.dispatcher.send_event("paid", key="order-7", shard=IN_B)
        for wrong in (lambda: dispatch_job(WELCOME, Mail(), shard=""), refused_chain):
            with pytest.raises(OptionInvalidError, match="expected a shard"):
                wrong()
    finally:
        use_dispatcher(None)

    assert len(app.ledger.list_jobs()) == 5


def refused_chain() -> object:
    return default_chain(*LINKS, shard="")


def test_a_dispatch_from_an_event_loop_goes_to_its_shard(sharded: Sharded) -> None:
    dispatch = sharded.dispatcher.dispatch_async(WELCOME, Mail(), shard=IN_A)

    assert asyncio.run(dispatch).status() is JobState.OFFERED
    assert sharded.jobs() == {"a": 1, "b": 0}
    with pytest.raises(OptionInvalidError, match="expected a shard="):
        asyncio.run(sharded.dispatcher.dispatch_async(WELCOME, Mail()))


def test_a_completion_job_must_be_within_the_shard(sharded: Sharded) -> None:
    result = GroupResult(group_id="", total=0, succeeded=0, failed=0, cancelled=0)

    with pytest.raises(OptionInvalidError, match="expected concurrency by"):
        sharded.dispatcher.dispatch_group(LINKS, Link(COMPLETION, result), shard=IN_A)
