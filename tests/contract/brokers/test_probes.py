"""A probe takes no right, no name and no room that an offer does not take, and leaves nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pika
import pytest
from redis import Redis

from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.engines.rq.adapter import RqEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineRefusedError, OfferRefusedError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineAdapter, EngineHealth
from failsoft.job_engine.records.message import Message
from failsoft.queue import shared_client
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

QUEUE = QueueProfile("lane", pickup=timedelta(seconds=10))
NAME = "shop-lane"
MESSAGE = Message(1, "job", 1, "kid", "mac")
POLICY = (
    'rabbit_policy:set(<<"{0}">>, <<"all">>, <<".*">>,'
    ' [{{<<"max-length">>, {1}}}, {{<<"overflow">>, <<"reject-publish">>}}],'
    ' 0, <<"queues">>, <<"tests">>).'
)
QUEUES = (
    "[{{binary_to_list(element(4, amqqueue:get_name(Q))), amqqueue:is_durable(Q)}}"
    ' || Q <- rabbit_amqqueue:list(<<"{0}">>)].'
)
#: What offers take of Redis, by RQ's script; `holds`, `withdraw` and the mark take more.
OFFERS_ONLY = "-@all +hello +auth +client|setinfo +evalsha +script|load +exists +hset +rpush"
#: What offers take of Dramatiq's script.
DRAMATIQS = (
    "-@all +hello +auth +client|setinfo +evalsha +script|load +zadd +zrem +zrangebyscore +smembers"
    " +hset +hget +hdel +hexists +rpush +lpop +sadd +srem +del +keys"
)


def deadline() -> Deadline:
    return Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))


def probe(engine: EngineAdapter) -> EngineHealth:
    return engine.probe(QUEUE, deadline())


def user_of(server: Valkey, rights: str) -> str:
    server.command("ACL", "SETUSER", "few", "reset", "on", ">secret", *rights.split())
    return server.url.replace("://", "://few:secret@")


def on_redis(kind: str, url: str) -> EngineAdapter:
    if kind == "rq":
        return RqEngine(shared_client(url), "shop")
    return DramatiqEngine(make_broker(url, "shop"), "shop")


@pytest.fixture(params=["rq", "dramatiq"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_probe_of_redis_leaves_nothing_behind(kind: str, valkey: Valkey) -> None:
    engine = on_redis(kind, valkey.url)

    assert [probe(engine).backlog for _ in range(3)] == [0, 0, 0]
    assert valkey.keys() == set()
    engine.offer(MESSAGE, QUEUE, deadline())
    kept = {key: valkey.command("DUMP", key) for key in valkey.keys()}  # noqa: SIM118 - no dict
    assert probe(engine).backlog == 1
    assert kept == {key: valkey.command("DUMP", key) for key in valkey.keys()}  # noqa: SIM118


def test_no_worker_that_waits_for_the_list_is_woken_by_a_probe(valkey: Valkey) -> None:
    engine, found = on_redis("rq", valkey.url), list[object]()

    def wait() -> None:
        with Redis.from_url(valkey.url) as client:
            found.append(client.blpop([f"rq:queue:{NAME}"], timeout=PATIENCE))

    waiting = threading.Thread(target=wait)
    waiting.start()
    blocked = lambda: valkey.command("INFO", "clients")["blocked_clients"] == 1  # noqa: E731
    wait_until(blocked, PATIENCE, "the client waits")
    assert all(probe(engine).healthy for _ in range(20))
    valkey.command("RPUSH", f"rq:queue:{NAME}", "a job")
    waiting.join()

    assert found == [(f"rq:queue:{NAME}".encode(), b"a job")]


@pytest.mark.parametrize(
    ("kind", "rights"),
    [
        ("rq", f"~rq:job:shop_* ~rq:queue:shop-* {OFFERS_ONLY}"),
        ("dramatiq", f"~shop ~shop:* {DRAMATIQS}"),
    ],
)
def test_a_user_who_may_offer_may_probe(kind: str, rights: str, valkey: Valkey) -> None:
    engine = on_redis(kind, user_of(valkey, rights))

    engine.offer(MESSAGE, QUEUE, deadline())

    assert [(found.healthy, found.backlog) for found in (probe(engine), probe(engine))] == [
        (True, None)
    ] * 2


@pytest.mark.parametrize(
    ("kind", "rights"),
    [
        ("rq", "~rq:job:* ~rq:queue:shop-other +@all"),
        ("dramatiq", f"~shop ~shop:shop-other* {DRAMATIQS}"),
    ],
)
def test_a_queue_that_is_not_the_users_is_refused_alone(
    kind: str, rights: str, valkey: Valkey
) -> None:
    engine = on_redis(kind, user_of(valkey, rights))

    with pytest.raises(OfferRefusedError) as refused:
        engine.offer(MESSAGE, QUEUE, deadline())

    assert not isinstance(refused.value, EngineRefusedError)
    assert (probe(engine).healthy, probe(engine).is_refused) == (False, True)


def test_something_else_in_the_place_of_a_queue_is_refused_alone(kind: str, valkey: Valkey) -> None:
    engine = on_redis(kind, valkey.url)
    valkey.command("SET", f"rq:queue:{NAME}" if kind == "rq" else f"shop:{NAME}", "x")

    with pytest.raises(OfferRefusedError) as refused:
        engine.offer(MESSAGE, QUEUE, deadline())

    assert not isinstance(refused.value, EngineRefusedError)
    assert (probe(engine).healthy, probe(engine).is_refused) == (False, True)


REFUSING: dict[str, Callable[[Valkey], object]] = {
    "no memory": lambda server: server.out_of_memory(on=True),
    "a replica": lambda server: server.command("REPLICAOF", "127.0.0.1", 1),
    "too few replicas": lambda server: server.config_set("min-replicas-to-write", 1),
}


@pytest.mark.parametrize("refusing", REFUSING.values(), ids=REFUSING)
def test_a_server_that_takes_no_writes_refuses_every_queue(
    kind: str, valkey: Valkey, refusing: Callable[[Valkey], object]
) -> None:
    engine = on_redis(kind, valkey.url)
    engine.offer(MESSAGE, QUEUE, deadline())
    refusing(valkey)

    with pytest.raises(EngineRefusedError):
        engine.offer(Message(1, "job", 2, "kid", "mac"), QUEUE, deadline())

    assert (probe(engine).healthy, probe(engine).is_refused) == (False, False)


@pytest.fixture
def vhost(amqp_url: str) -> str:
    return amqp_url.rpartition("/")[2]


@pytest.fixture
def few(rabbitmq: RabbitMQ, vhost: str, amqp_url: str) -> Iterator[Callable[..., str]]:
    """Makes a user who may configure, write and read what is said, and returns the URL."""

    def made(configure: str, write: str, read: str) -> str:
        rabbitmq.permit("few", vhost, configure=configure, write=write, read=read)
        return amqp_url.replace("guest:guest@", "").replace("://", "://few:secret@")

    rabbitmq.add_user("few", "secret")
    yield made
    rabbitmq.delete_user("few")


def on_rabbitmq(url: str) -> closing[Any]:
    return closing(make_broker(url, "shop"))


def test_probes_of_rabbitmq_declare_nothing_of_their_own_and_nothing_that_is_transient(
    rabbitmq: RabbitMQ, vhost: str, amqp_url: str
) -> None:
    with on_rabbitmq(amqp_url) as broker:
        assert [broker.probe(NAME).healthy for _ in range(3)] == [True] * 3
        broker.owner("shop", "a ledger", "if_free")

    # RabbitMQ 4 lets transient queues that are not exclusive be forbidden.
    shown = rabbitmq.evaluate(QUEUES.format(vhost))
    assert "false" not in shown
    assert {name for name in (NAME, f"{NAME}.XQ", "shop-.ledger") if f'"{name}"' in shown} == {
        *(NAME, f"{NAME}.XQ", "shop-.ledger")
    }
    assert shown.count("true") == 3


def test_a_policy_that_refuses_what_is_too_much_is_no_reason_for_a_probe_to_fail(
    rabbitmq: RabbitMQ, vhost: str, amqp_url: str
) -> None:
    rabbitmq.evaluate(POLICY.format(vhost, 1))
    with on_rabbitmq(amqp_url) as broker:
        engine = DramatiqEngine(broker, "shop")
        engine.offer(MESSAGE, QUEUE, deadline())
        with pytest.raises(OfferRefusedError, match="Nack"):
            engine.offer(MESSAGE, QUEUE, deadline())

        assert [(found.healthy, found.backlog) for found in (probe(engine), probe(engine))] == [
            (True, 1)
        ] * 2


def test_a_user_of_one_namespace_may_offer_and_probe(few: Callable[..., str]) -> None:
    with on_rabbitmq(few("^shop-.*", "^(shop-.*|amq\\.default)$", "^shop-.*")) as broker:
        engine = DramatiqEngine(broker, "shop")
        engine.offer(MESSAGE, QUEUE, deadline())

        assert [probe(engine).backlog for _ in range(2)] == [1, 1]


def test_a_user_who_may_declare_nothing_uses_what_is_there(
    few: Callable[..., str], amqp_url: str
) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_declare(NAME, durable=True)
    with on_rabbitmq(few("^$", "^amq\\.default$", "^$")) as broker:
        engine = DramatiqEngine(broker, "shop")
        engine.offer(MESSAGE, QUEUE, deadline())

        assert [probe(engine).backlog for _ in range(2)] == [1, 1]
        assert broker.differences(NAME) is None


def test_a_queue_of_rabbitmq_that_is_not_the_users_is_refused_alone(
    few: Callable[..., str],
) -> None:
    with on_rabbitmq(few("^shop-other.*", "^amq\\.default$", "^shop-other.*")) as broker:
        engine = DramatiqEngine(broker, "shop")

        with pytest.raises(OfferRefusedError, match="ACCESS_REFUSED"):
            engine.offer(MESSAGE, QUEUE, deadline())

        assert (probe(engine).healthy, probe(engine).is_refused) == (False, True)
        assert broker.probe("shop-other").healthy


def test_a_queue_that_was_deleted_is_there_again_after_a_probe(amqp_url: str) -> None:
    with on_rabbitmq(amqp_url) as broker:
        assert broker.probe(NAME).healthy
        with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
            connection.channel().queue_delete(NAME)

        assert [broker.probe(NAME).healthy for _ in range(2)] == [True, True]
