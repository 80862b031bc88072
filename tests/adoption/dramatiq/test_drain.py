"""What waits at plain Dramatiq, on Redis and on RabbitMQ, becomes jobs, each once."""

import pickle
from collections.abc import Iterator
from typing import Any

import dramatiq
import dramatiq.broker
import pytest
from dramatiq import Broker, Message
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from failsoft.adoption.dramatiq.drain import drain
from failsoft.api import EngineUnavailableError
from failsoft.testkit.kit import Testkit
from tests.adoption.apps import actors
from tests.servers.valkey import Valkey


@pytest.fixture(params=["redis", "rabbitmq"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "redis":
        server: Valkey = request.getfixturevalue("valkey")
        return server.url
    found: str = request.getfixturevalue("amqp_url")
    return found


@pytest.fixture
def plain(url: str) -> Iterator[Broker]:
    broker = RabbitmqBroker(url=url) if url.startswith("amqp") else RedisBroker(url=url)
    broker.declare_queue("default")
    yield broker
    broker.close()


@pytest.fixture
def failsoft(failsoft: Testkit) -> Iterator[Testkit]:
    before = dramatiq.broker.global_broker
    dramatiq.set_broker(actors.broker)
    from failsoft.adoption.dramatiq import jobs  # noqa: PLC0415 - it looks for the broker

    failsoft.register(jobs.dramatiq_actor, jobs.dramatiq_failure_callback)
    actors.done.clear()
    yield failsoft
    dramatiq.broker.global_broker = before


def message(actor: str, *args: Any, **options: Any) -> Message[Any]:
    return Message(queue_name="default", actor_name=actor, args=args, kwargs={}, options=options)


def test_what_waits_becomes_jobs_once(failsoft: Testkit, plain: Broker, url: str) -> None:
    plain.enqueue(message("add", 1, 2))
    plain.enqueue(message("complete", "later"), delay=600_000)
    plain.enqueue(message("add", 3, 4, pipe_target=message("add", 10).asdict()))

    looked = drain("default", url, dry_run=True)
    assert (looked.moved, failsoft.dispatched()) == (3, [])
    drained, twice = drain("default", url), drain("default", url)

    assert (drained.moved, drained.refused, twice.moved, twice.existing) == (3, {}, 0, 0)
    failsoft.drain()
    plain_done = [each for each in actors.done if isinstance(each, tuple)]
    assert sorted(plain_done) == [(1, 2), (3, 4), (10, 7)]
    assert "later" not in actors.done
    failsoft.travel(minutes=11)
    failsoft.drain()
    assert "later" in actors.done


def test_what_cannot_be_moved_stays_and_says_why(
    failsoft: Testkit, plain: Broker, url: str
) -> None:
    unknown = plain.enqueue(message("unknown"))
    plain.enqueue(message("add", 1, 2, on_retry_exhausted="complete"))

    drained, again = drain("default", url), drain("default", url)

    assert "declared actor, got 'unknown'" in drained.refused[unknown.message_id]
    assert (drained.moved, drained.refused_count, again.refused_count) == (0, 2, 2)
    assert failsoft.dispatched() == []


def test_a_message_that_is_no_json_is_left(failsoft: Testkit, valkey: Valkey) -> None:
    valkey.command("RPUSH", "dramatiq:default", "one")
    valkey.command("HSET", "dramatiq:default.msgs", "one", pickle.dumps({}).decode("latin-1"))

    drained = drain("default", valkey.url)

    assert "got another encoding" in drained.refused["one"]


def test_a_broker_that_is_away_is_said(failsoft: Testkit) -> None:
    for url in ("redis://127.0.0.1:1/0", "amqp://127.0.0.1:1"):
        with pytest.raises(
            EngineUnavailableError, match=r"expected a (Redis|RabbitMQ) that answers"
        ):
            drain("default", url)
