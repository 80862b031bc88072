"""The permissions of `docs/explain/security.md` are enough, and no more than they say."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pika
import psycopg
import pytest
from pika.exceptions import ChannelClosedByBroker
from redis import Redis
from redis.exceptions import NoPermissionError
from rq.command import send_stop_job_command
from rq.serializers import JSONSerializer

from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.upgrade.run import upgrade
from failsoft.queue import rq_id
from failsoft.queue.rq_queue import DEFAULT_NAMESPACE
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_promises_kept
from tests.faults.postgresql.lost_replies import OPERATIONS, LedgerCalls
from tests.integration.security.documented_commands import (
    DISPATCHER,
    WORKER,
    delete_rabbitmq_users,
    drop_postgresql_user,
    make_postgresql_user,
    make_rabbitmq_users,
    make_redis_users,
)
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import wait_until
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

FOR_RQ = "Redis or Valkey, for RQ"
FOR_DRAMATIQ = "A second Redis or Valkey, for Dramatiq"
BOTH = ("rq", "dramatiq")
#: The rescuers leave an offer alone for so long.
LATER = timedelta(minutes=10)
ON_SQLITE = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


@pytest.fixture
def rq_users(valkey: Valkey) -> dict[str, str]:
    return make_redis_users(valkey, FOR_RQ)


@pytest.fixture
def fallback_users(request: pytest.FixtureRequest, fallback_url: str) -> Iterator[dict[str, str]]:
    if fallback_url.startswith("redis"):
        yield make_redis_users(request.getfixturevalue("second_valkey"), FOR_DRAMATIQ)
        return
    rabbitmq: RabbitMQ = request.getfixturevalue("rabbitmq")
    yield make_rabbitmq_users(rabbitmq, fallback_url.rpartition("/")[2], fallback_url)
    delete_rabbitmq_users(rabbitmq)


@pytest.fixture
def addresses(
    addresses: dict[str, str], rq_users: dict[str, str], fallback_users: dict[str, str]
) -> dict[str, str]:
    """The dispatcher's; workers get theirs from `as_worker`."""
    return addresses | of(DISPATCHER, rq_users, fallback_users)


@pytest.fixture
def as_worker(rq_users: dict[str, str], fallback_users: dict[str, str]) -> dict[str, str]:
    return of(WORKER, rq_users, fallback_users)


def of(user: str, rq_users: dict[str, str], fallback_users: dict[str, str]) -> dict[str, str]:
    return {
        "FAILSOFT_REDIS_URL": rq_users[user],
        "FAILSOFT_AMQP_URL": fallback_users[user],
    }


@ON_SQLITE
@pytest.mark.parametrize("fallback_url", ["rabbitmq", "valkey"], indirect=True)
def test_jobs_run_as_the_documented_users_and_no_server_refuses_anything(
    deployment: Deployment,
    as_worker: dict[str, str],
    valkey: Valkey,
    request: pytest.FixtureRequest,
) -> None:
    for engine in BOTH:
        # While only one engine has a live worker, what waits for the other is offered again.
        deployment.pretend(engine, "threads")
    early = [deployment.dispatch(in_thread, engines=(each,), pickup=LATER) for each in BOTH]
    workers = [deployment.worker(name, "threads", **as_worker) for name in BOTH]
    deployment.wait_for(*workers)
    assert all(deployment.app.engines.probe(name).healthy for name in BOTH)
    script = Script(halt_at=1, gate="never")
    stopped = deployment.dispatch(in_thread, script, engines=("rq",), pickup=LATER)
    deployment.wait_for_step(stopped, "step-1")
    with valkey.client() as operator:
        send_stop_job_command(
            operator, rq_id(DEFAULT_NAMESPACE, stopped.id, 1), serializer=JSONSerializer
        )
    deployment.wait_for_ends()
    assert [worker.process.terminate(PATIENCE) for worker in workers] == [0, 0]

    assert [handle.job().epoch for handle in early] == [1, 1]
    assert refusals(request) == []
    assert_promises_kept(deployment)


@ON_SQLITE
@pytest.mark.fault("F55")
@pytest.mark.parametrize("fallback_url", ["rabbitmq", "valkey"], indirect=True)
def test_an_engine_is_used_again_after_its_outage_by_the_documented_users(
    deployment: Deployment,
    as_worker: dict[str, str],
    request: pytest.FixtureRequest,
    fallback_url: str,
) -> None:
    deployment.wait_for(*(deployment.worker(name, "threads", **as_worker) for name in BOTH))
    fallback = "second_valkey" if fallback_url.startswith("redis") else "rabbitmq"

    for engine, name in zip(BOTH, ("valkey", fallback), strict=True):
        server = request.getfixturevalue(name)
        server.freeze()
        deployment.dispatch(in_thread, engines=(engine,))
        server.thaw()
        back = lambda e=engine: e in deployment.engines_of("engine.failed_back")  # noqa: E731
        wait_until(back, PATIENCE, f"{engine} is back")
        again = deployment.dispatch(in_thread, engines=(engine,))
        assert deployment.tries(again)[0] == (engine, "offer", "accepted")
    deployment.wait_for_ends()

    assert refusals(request) == []
    assert_promises_kept(deployment)


def refusals(request: pytest.FixtureRequest) -> list[object]:
    """What servers refused: each of them keeps a log of that."""
    names = {"valkey", "second_valkey"} & set(request.fixturenames)
    reported = [
        each for name in names for each in request.getfixturevalue(name).command("ACL", "LOG")
    ]
    rabbitmq: RabbitMQ = request.getfixturevalue("rabbitmq")
    lines = [line for line in rabbitmq.log.read_text().splitlines() if "access_refused" in line]
    # Other tests have virtual hosts of their own, and may be refused there.
    vhost = str(request.getfixturevalue("fallback_url")).rpartition("/")[2]
    return reported + [line for line in lines if f"'{vhost}'" in line]


def test_a_dispatcher_of_rq_can_do_nothing_but_dispatch(rq_users: dict[str, str]) -> None:
    forbidden = (
        ("HGETALL", "rq:job:another"),
        ("PUBLISH", "rq:pubsub:a-worker", "shutdown"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("SET", "rq:workers", "x"),
        ("RPUSH", "rq:queue:somebody-elses", "x"),
        ("EVAL", "return 1", "0"),
    )
    assert_forbidden(rq_users[DISPATCHER], forbidden)


def test_a_worker_of_rq_can_do_nothing_but_work(rq_users: dict[str, str]) -> None:
    forbidden = (
        ("PUBLISH", "rq:pubsub:a-worker", "shutdown"),
        ("SUBSCRIBE", "others"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("GET", "somebody-elses"),
        ("EVAL", "return 1", "0"),
    )
    assert_forbidden(rq_users[WORKER], forbidden)


def assert_forbidden(url: str, commands: tuple[tuple[str, ...], ...]) -> None:
    with Redis.from_url(url) as client:
        for words in commands:
            with pytest.raises(NoPermissionError):
                client.execute_command(*words)


def test_no_user_of_rabbitmq_reaches_queues_of_others(
    amqp_url: str, fallback_users: dict[str, str]
) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_declare("somebody-elses")

    for url in fallback_users.values():
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            for forbidden in (
                lambda channel: channel.basic_get("somebody-elses"),
                lambda channel: channel.queue_delete("somebody-elses"),
                lambda channel: channel.exchange_declare("somebody-elses"),
                lambda channel: channel.queue_bind("failsoft-threads", "amq.topic"),
            ):
                with pytest.raises(ChannelClosedByBroker, match="403"):
                    forbidden(connection.channel())


def test_a_ledger_is_served_by_a_user_who_owns_none_of_its_tables(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
    url = make_postgresql_user(postgres_url)

    with closing(Database(url)) as database:
        check(database)
        for number, operation in enumerate(OPERATIONS):
            scene = LedgerCalls(SqlLedger(database), f"job-{number}")
            assert operation.run(scene, operation.before(scene))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for forbidden in ("DROP TABLE failsoft_jobs", "CREATE TABLE mine (a int)"):
            with pytest.raises(psycopg.Error, match=r"owner|permission"), connection.transaction():
                connection.execute(forbidden.encode())
    drop_postgresql_user(postgres_url)
