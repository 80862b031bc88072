"""F48: two programs with namespaces of their own share a Redis, and jobs of theirs have one id.

A tick of a schedule has the same id in every program, so that happens where two are used.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.engines.rq.adapter import RqEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.ports.engine import EngineAdapter
from failsoft.job_engine.records.message import KeyRing, Message, SigningKey
from failsoft.queue import SafeJob, rq_id, shared_client
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.fault("F48")

JOB_ID = "tick-prune_ledger-2026"

Make = Callable[[str], EngineAdapter]


def deadline() -> Deadline:
    return Deadline.after(SystemClock(), timedelta(seconds=10))


def message(namespace: str, epoch: int = 1) -> Message:
    key = SigningKey.generate()
    return KeyRing(lambda: [key], SystemClock(), namespace).sign(JOB_ID, epoch, "any")


def backlog(engine: EngineAdapter) -> int | None:
    return engine.probe(DEFAULT, deadline()).backlog


@pytest.fixture
def rq(valkey: Valkey) -> Callable[[str], RqEngine]:
    valkey.wipe()
    return lambda namespace: RqEngine(shared_client(valkey.url, "namespaces"), namespace)


@pytest.fixture(params=["rq", "dramatiq"])
def make(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Make]:
    valkey.wipe()
    if request.param == "rq":
        yield lambda namespace: RqEngine(shared_client(valkey.url, "namespaces"), namespace)
        return
    with closing(make_broker(valkey.url)):
        yield lambda namespace: DramatiqEngine(make_broker(valkey.url, namespace), namespace)


def test_each_has_its_own_offer(make: Make) -> None:
    shop, staging = make("shop"), make("staging")

    for engine, namespace in ((shop, "shop"), (staging, "staging")):
        engine.offer(message(namespace), DEFAULT, deadline())

    assert (backlog(shop), backlog(staging)) == (1, 1)


def test_what_one_takes_back_the_other_keeps(make: Make) -> None:
    shop, staging = make("shop"), make("staging")
    shop.offer(message("shop"), DEFAULT, deadline())

    staging.withdraw(message("staging"), DEFAULT)

    assert backlog(shop) == 1


def test_each_is_probed_for_its_own(rq: Callable[[str], RqEngine]) -> None:
    shop, staging = rq("shop"), rq("staging")
    shop.offer(message("shop"), DEFAULT, deadline())
    assert staging.holds(message("staging"), DEFAULT, deadline()) is False

    staging.offer_many([message("staging")], DEFAULT, deadline())
    shop.withdraw(message("shop"), DEFAULT)

    assert staging.holds(message("staging"), DEFAULT, deadline()) is True
    assert shop.holds(message("shop"), DEFAULT, deadline()) is False


def test_an_offer_of_the_version_before_is_found_and_not_offered_again(
    rq: Callable[[str], RqEngine], valkey: Valkey
) -> None:
    shop, client = rq("shop"), shared_client(valkey.url, "namespaces")
    former = f"{JOB_ID}-1"
    client.hset(SafeJob.key_for(former), "data", b"")
    client.rpush("rq:queue:shop-default", former)

    assert shop.holds(message("shop"), DEFAULT, deadline()) is True
    assert rq("staging").holds(message("staging"), DEFAULT, deadline()) is False

    # It may be another program's: no more than looked for.
    rq("staging").withdraw(message("staging"), DEFAULT)
    assert client.exists(SafeJob.key_for(former))


def test_no_two_offers_have_one_id() -> None:
    offers = [("a", "b-c", 1), ("a-b", "c", 1), ("a", "b_c", 1), ("", "a_b-c", 1), ("", "a_b", 1)]
    offers += [("a", "b-1", 2), ("a", "b", 12), ("a-1", "b", 2), ("", "b-1", 2)]

    assert len({rq_id(*offer) for offer in offers}) == len(offers)
