"""The servers that the other tests stand on break and heal as those tests expect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pika
import psutil
import psycopg
import pytest
import redis
from confluent_kafka import KafkaError, Producer
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from failsoft.engine_api import EmbeddedServerError
from failsoft.queue.embedded_valkey import EmbeddedValkey
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, Processes, is_alive, wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.tansu import KafkaAddresses, Tansu
from tests.servers.valkey import Valkey

QUEUE = "letters"
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def test_a_killed_valkey_comes_back_empty_on_its_port(valkey: Valkey) -> None:
    url, pid = valkey.url, valkey.pid
    valkey.command("SET", "name", "old")

    valkey.kill()
    assert not valkey.is_running
    valkey.start()

    assert (valkey.url, valkey.keys()) == (url, set())
    assert valkey.pid != pid


def test_a_valkey_that_saved_comes_back_with_its_data(valkey: Valkey) -> None:
    valkey.command("SET", "name", "kept")
    valkey.save()

    valkey.restart()

    assert valkey.command("GET", "name") == b"kept"


def test_a_snapshot_restored_brings_the_old_list_back(valkey: Valkey) -> None:
    valkey.command("RPUSH", "queue", "job-1")
    snapshot = valkey.snapshot()
    valkey.command("LPOP", "queue")

    valkey.kill()
    valkey.restore(snapshot)
    valkey.start()

    assert valkey.command("LRANGE", "queue", 0, -1) == [b"job-1"]


def test_a_running_valkey_takes_no_snapshot_in(valkey: Valkey) -> None:
    snapshot = valkey.snapshot()

    with pytest.raises(EmbeddedServerError, match="expected a stopped server"):
        valkey.restore(snapshot)


def test_wiping_a_valkey_leaves_no_key(valkey: Valkey) -> None:
    valkey.command("SET", "name", "gone")

    valkey.wipe()

    assert valkey.keys() == set()


def test_a_frozen_valkey_is_silent_and_goes_on_when_thawed(valkey: Valkey) -> None:
    valkey.freeze()

    with valkey.client(timeout=timedelta(seconds=0.1)) as client, pytest.raises(redis.TimeoutError):
        client.ping()

    assert valkey.is_running
    valkey.thaw()
    assert valkey.command("PING")


def test_a_frozen_valkey_can_be_stopped(valkey: Valkey) -> None:
    valkey.freeze()

    valkey.stop()

    assert not valkey.is_running


def test_two_valkeys_share_nothing(valkey: Valkey, second_valkey: Valkey) -> None:
    valkey.command("SET", "name", "first")

    assert second_valkey.keys() == set()


def test_a_valkey_refuses_writes_when_it_is_full_demoted_or_paused(
    valkey: Valkey, second_valkey: Valkey
) -> None:
    valkey.out_of_memory(on=True)
    with pytest.raises(redis.OutOfMemoryError):
        valkey.command("SET", "a", 1)
    valkey.out_of_memory(on=False)

    valkey.replica_of(second_valkey)
    with pytest.raises(redis.ReadOnlyError):
        valkey.command("SET", "a", 1)
    valkey.replica_of_nobody()

    valkey.pause_writes(60_000)
    with valkey.client(timeout=timedelta(seconds=0.1)) as client, pytest.raises(redis.TimeoutError):
        client.set("a", 1)


def test_a_valkey_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path, config={"no-such-option": "yes"})

    with pytest.raises(EmbeddedServerError, match="no-such-option"):
        server.start()

    assert not server.is_running


def test_a_valkey_does_not_take_another_server_for_itself(valkey: Valkey, tmp_path: Path) -> None:
    impostor = EmbeddedValkey(tmp_path / "impostor", port=valkey.port)

    with pytest.raises(EmbeddedServerError, match="Address already in use"):
        impostor.start()


def test_a_valkey_dies_with_the_process_that_started_it(
    processes: Processes, tmp_path: Path
) -> None:
    program = (
        "import os, sys, pathlib, time\n"
        "from failsoft.queue.embedded_valkey import EmbeddedValkey\n"
        "server = EmbeddedValkey(pathlib.Path(sys.argv[1]))\n"
        "server.start()\n"
        "if os.fork(): print(f'pid={server._process.pid};')\n"
        "time.sleep(60)\n"
    )
    starter = processes.python("-c", program, str(tmp_path / "valkey"))
    starter.wait_for_output(";")
    server = psutil.Process(int(starter.output.split("pid=")[1].split(";")[0]))

    starter.kill(tree=False)

    wait_until(lambda: not is_alive(server), PATIENCE, "the server dies although a fork lives on")


@pytest.mark.long
def test_rabbitmq_keeps_durable_messages_over_sigkill(rabbitmq: RabbitMQ) -> None:
    url = rabbitmq.url
    with _channel(url) as channel:
        channel.queue_declare(QUEUE, durable=True)
        # A confirm is for the message alone: that there is such a queue is written a little later.
        rabbitmq.evaluate("mnesia:sync_log().")
        channel.confirm_delivery()
        channel.basic_publish("", QUEUE, b"kept", PERSISTENT, mandatory=True)
        rabbitmq.kill()
        with pytest.raises(pika.exceptions.AMQPError):
            channel.queue_declare(QUEUE, passive=True)

    rabbitmq.start()

    assert rabbitmq.url == url
    assert rabbitmq.delete_queue(QUEUE) == 1


@pytest.mark.parametrize("alarm", [RabbitMQ.memory_alarm, RabbitMQ.disk_alarm])
def test_publishing_blocks_while_rabbitmq_raises_an_alarm(
    alarm: Callable[..., None], rabbitmq: RabbitMQ, amqp_url: str
) -> None:
    alarm(rabbitmq, on=True)
    with _channel(amqp_url, blocked_connection_timeout=0.2) as channel:
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.ConnectionBlockedTimeout):
            channel.basic_publish("", QUEUE, b"blocked")

    alarm(rabbitmq, on=False)
    with _channel(amqp_url) as channel:
        channel.queue_declare(QUEUE)
        channel.confirm_delivery()
        channel.basic_publish("", QUEUE, b"through", mandatory=True)


def test_rabbitmq_closes_connections_and_unacknowledging_channels(
    rabbitmq: RabbitMQ, amqp_url: str
) -> None:
    rabbitmq.consumer_timeout(300)
    with _channel(amqp_url) as channel:
        channel.queue_declare(QUEUE)
        channel.basic_publish("", QUEUE, b"never acknowledged")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION"):
            _leave_unacknowledged(channel)

    with _channel(amqp_url) as channel:
        rabbitmq.close_all_connections()
        with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
            channel.connection.process_data_events(time_limit=10)


@pytest.mark.long
def test_a_frozen_rabbitmq_is_silent_and_healed_serves(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    rabbitmq.freeze()
    # Which is no AMQPError: pika raises it outside of its own tree.
    with pytest.raises(AMQPConnectorStackTimeout), _channel(amqp_url, stack_timeout=0.3):
        pass

    rabbitmq.heal()

    assert "running" in rabbitmq.ctl("list_vhosts", "name", "cluster_state")


def test_postgres_keeps_a_commit_over_sigkill(postgres: Postgres, postgres_url: str) -> None:
    _execute(postgres_url, "CREATE TABLE kept AS SELECT 7 AS n")

    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        _execute(postgres_url, "SELECT n FROM kept")
    postgres.start()

    assert _execute(postgres_url, "SELECT n FROM kept") == (7,)


def test_postgres_ends_sessions_and_the_database_stays(
    postgres: Postgres, postgres_url: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    with psycopg.connect(_dsn(postgres_url), autocommit=True) as connection:
        assert postgres.terminate_backends(database) == 1
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")

    assert _execute(postgres_url, "SELECT 1") == (1,)


def test_a_database_can_be_copied(postgres: Postgres, postgres_url: str) -> None:
    _execute(postgres_url, "CREATE TABLE original AS SELECT 7 AS n")

    copy = postgres.create_database("copied", template=postgres_url.rpartition("/")[2])

    assert _execute(copy, "SELECT n FROM original") == (7,)
    postgres.drop_database("copied")


def test_a_frozen_postgres_is_silent_and_restarts_on_its_port(
    postgres: Postgres, postgres_url: str
) -> None:
    postgres.freeze()
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(_dsn(postgres_url), connect_timeout=2)

    postgres.stop(immediate=True)
    postgres.start()

    assert _execute(postgres_url, "SELECT 1") == (1,)


def test_a_ledger_has_a_database_of_each_kind(ledger_url: str) -> None:
    assert ledger_url.startswith(("sqlite:////", "postgresql+psycopg://"))


@contextmanager
def _channel(url: str, **options: float) -> Iterator[BlockingChannel]:
    parameters = pika.URLParameters(url)
    for name, value in options.items():
        setattr(parameters, name, value)
    connection = pika.BlockingConnection(parameters)
    yield connection.channel()
    if connection.is_open:
        connection.close()


def _leave_unacknowledged(channel: BlockingChannel) -> None:
    for _ in channel.consume(QUEUE):
        channel.connection.process_data_events(time_limit=10)


def _execute(url: str, statement: str) -> tuple[object, ...] | None:
    with psycopg.connect(_dsn(url), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def _dsn(url: str) -> str:
    return url.replace("+psycopg", "")


def test_all_that_clients_of_kafka_say_goes_by_the_proxy(tmp_path: Path) -> None:
    with Tansu(tmp_path) as server, TcpProxy(server.port, KafkaAddresses) as proxy:
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{proxy.port}", "log_level": 0})
        brokers = producer.list_topics(timeout=PATIENCE).brokers.values()
        assert [(each.host, each.port) for each in brokers] == [("127.0.0.1", proxy.port)]

        refused: list[KafkaError | None] = []
        proxy.refuse()
        producer.produce(QUEUE, b"", on_delivery=lambda error, _: refused.append(error))
        assert producer.flush(1) == 1, "expected a record that does not get there"
        proxy.heal()

        assert producer.flush(PATIENCE) == 0
        assert refused == [None]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_addresses_are_replaced_however_answers_are_cut_into_pieces(size: int) -> None:
    def answer(port: int) -> bytes:
        body = b"\x00\x09127.0.0.1" + port.to_bytes(4) + b"\x00"
        return len(body).to_bytes(4) + body

    translate, said = KafkaAddresses(9092, 1234), answer(9092) + answer(9093)

    passed_on = [translate(said[at : at + size]) for at in range(0, len(said), size)]

    assert b"".join(passed_on) == answer(1234) + answer(9093)
