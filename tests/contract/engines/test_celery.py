"""Celery keeps every promise of an engine, on Valkey and on RabbitMQ."""

import base64
import json
import pickle
import secrets
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pika
import pytest
from celery import Celery
from celery._state import _on_app_finalizers, connect_on_app_finalize
from celery.result import assert_will_not_block
from celery.worker import WorkController
from celery.worker import state as celery_state

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.engines.celery.messages import TASK, body_of, headers_of
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.ports.engine import OwnedEngineAdapter, Owner
from failsoft.job_engine.records.message import Message
from failsoft.queue import shared_client
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from failsoft.testing.engine_suite.bench import arrived, new_message, offer
from failsoft.testing.engine_suite.forks import offer_from_a_child
from tests.contract.engines.engine_setups import (
    QUEUE,
    PluginBench,
    Server,
    levels,
    post_of,
    site_of,
)
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.rabbitmq import Application, RabbitMQ
from tests.servers.valkey import Valkey


def may_wait() -> bool:
    """Return whether this process may wait for a result of Celery's."""
    try:
        assert_will_not_block()
    except RuntimeError:
        return False
    return True


class CeleryBench(PluginBench):
    """Tasks on whatever broker the URL names, with Celery's own worker."""

    def __init__(self, server: Server, url: str, **settings: Any) -> None:
        self.url = url
        #: Whether each message's processing might wait for a result of Celery's.
        self.may_wait: list[bool] = []
        is_quorum = settings.get("queue_type") == "quorum"
        self._arguments = {"x-queue-type": "quorum"} if is_quorum else {}
        super().__init__(plugin("celery"), server, broker_url=url, **settings)

    def process(self, wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        self.may_wait.append(may_wait())
        super().process(wire, claimed)

    @property
    def foreign(self) -> Sequence[ForeignMessage]:
        ours = headers_of(new_message())
        return (
            self._task({"task": "os.system", "id": "1"}, [["true"], {}, {}]),
            self._task({**ours, "task": "os.system"}, [["true"], {}, {}]),
            self._task(ours, [[{"v": 1}], {}, {}]),
            self._task(ours, [[{}, {}], {"wire": {}}, {}]),
            self._task(ours, [[], {}, {"callbacks": [{"task": "os.system", "args": ["true"]}]}]),
            self._task(ours, {"args": [{}], "kwargs": {}}),
            self._task({**ours, "compression": "application/x-bz2"}, ["BZh91AY&SY"]),
        )

    def _task(self, headers: dict[str, Any], arguments: object) -> ForeignMessage:
        return self.sealed(headers, json.dumps(arguments).encode(), "application/json")

    def sealed(self, headers: dict[str, Any], body: bytes, content_type: str) -> ForeignMessage:
        """Return a task as the broker carries it."""
        if self.url.startswith("amqp"):
            return ForeignMessage(body, {"content-type": content_type, **headers})
        found = {
            "body": base64.b64encode(body).decode(),
            "content-type": content_type,
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {
                "delivery_info": {"exchange": "", "routing_key": self.name},
                "delivery_tag": secrets.token_hex(8),
                "body_encoding": "base64",
            },
        }
        return ForeignMessage(json.dumps(found).encode())

    def plant(self, message: ForeignMessage) -> None:
        if self.url.startswith("amqp"):
            self._plant_in_rabbitmq(message)
        else:
            shared_client(self.url).lpush(self.name, message.body)

    def _plant_in_rabbitmq(self, message: ForeignMessage) -> None:
        headers = dict(message.headers)
        properties = pika.BasicProperties(
            content_type=headers.pop("content-type", "application/json"), headers=headers
        )
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            channel.queue_declare(self.name, durable=True, arguments=self._arguments)
            channel.basic_publish("", self.name, message.body, properties)


def bench_in(folder: Path) -> CeleryBench:
    """For `failsoft engines test celery --bench tests.contract.engines.test_celery:bench_in`."""
    server = Valkey(folder)
    return CeleryBench(server, server.url)


@pytest.fixture
def bench_on_valkey(valkey: Valkey) -> Iterator[CeleryBench]:
    with closing(CeleryBench(valkey, valkey.url)) as bench:
        yield bench


@pytest.fixture
def bench_on_rabbitmq(rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[CeleryBench]:
    with closing(CeleryBench(Application(rabbitmq), amqp_url)) as bench:
        yield bench


@pytest.fixture
def bench_on_quorum_queues(rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[CeleryBench]:
    with closing(CeleryBench(Application(rabbitmq), amqp_url, queue_type="quorum")) as bench:
        yield bench


class OnValkey:
    @pytest.fixture
    def bench(self, bench_on_valkey: CeleryBench) -> CeleryBench:
        return bench_on_valkey


class OnRabbitmq:
    @pytest.fixture
    def bench(self, bench_on_rabbitmq: CeleryBench) -> CeleryBench:
        return bench_on_rabbitmq


class OnQuorumQueues:
    @pytest.fixture
    def bench(self, bench_on_quorum_queues: CeleryBench) -> CeleryBench:
        return bench_on_quorum_queues


class TestCeleryEngineOnValkey(OnValkey, EngineSuite):
    """On a Valkey that forgets everything when it is stopped."""


class TestCeleryWorkerOnValkey(OnValkey, WorkerSuite):
    """And its worker."""


class TestCeleryEngineOnRabbitmq(OnRabbitmq, EngineSuite):
    """On a RabbitMQ that is stopped and started."""


class TestCeleryWorkerOnRabbitmq(OnRabbitmq, WorkerSuite):
    """And its worker."""


class TestCeleryEngineOnQuorumQueues(OnQuorumQueues, EngineSuite):
    """The same with quorum queues."""


@pytest.mark.long
class TestCeleryWorkerOnQuorumQueues(OnQuorumQueues, WorkerSuite):
    """And its worker."""


@pytest.fixture(params=["valkey", "rabbitmq"])
def bench(request: pytest.FixtureRequest) -> CeleryBench:
    """Each broker."""
    found: CeleryBench = request.getfixturevalue(f"bench_on_{request.param}")
    return found


def test_a_forked_child_offers_over_a_connection_of_its_own(bench: CeleryBench) -> None:
    before = new_message()
    offer(bench, before)

    message = offer_from_a_child(bench)
    after = new_message()
    offer(bench, after)

    assert set(arrived(bench, [before, message, after])) == {before, message, after}


class Trap:
    """What runs a command when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._file,))


def test_a_pickled_task_is_refused_and_not_read(bench: CeleryBench, tmp_path: Path) -> None:
    sprung, ours = tmp_path / "sprung", headers_of(new_message())
    body = pickle.dumps([[Trap(sprung)], {}, {}])
    for content_type in ("application/x-python-serialize", "application/json"):
        bench.plant(bench.sealed(ours, body, content_type))
    message = new_message()
    offer(bench, message)

    assert arrived(bench, [message]) == [message]
    assert bench.rejected() == 2
    assert not sprung.exists()


def test_a_body_that_unpacks_to_much_more_is_not_unpacked(bench: CeleryBench) -> None:
    packed = zlib.compress(b"x" * 50_000_000)
    headers = {**headers_of(new_message()), "compression": "application/x-gzip"}
    bench.plant(bench.sealed(headers, packed[:2000], "application/json"))
    message = new_message()
    offer(bench, message)

    assert arrived(bench, [message]) == [message]
    assert bench.rejected() == 1


def test_what_came_with_a_task_of_ours_is_not_obeyed(bench: CeleryBench) -> None:
    """A time, an expiry, callbacks that publish other tasks."""
    message = new_message()
    _, _, embedded = json.loads(body_of(message))
    callbacks = [{"task": TASK, "args": [new_message().to_wire()], "options": {}}]
    body = json.dumps([[message.to_wire()], {}, {**embedded, "callbacks": callbacks}]).encode()
    asked = {"eta": "2199-01-01T00:00:00", "expires": "1999-01-01T00:00:00", "reply_to": "x"}
    headers = {**headers_of(message), **asked}
    bench.plant(bench.sealed(headers, body, "application/json"))

    assert arrived(bench, [message]) == [message]
    assert bench.rejected() == 0


def test_a_job_may_wait_for_results_of_another_celery(bench: CeleryBench) -> None:
    message = new_message()
    offer(bench, message)

    assert arrived(bench, [message]) == [message]
    assert bench.may_wait == [True]
    assert may_wait()


def test_the_environment_of_another_celery_changes_nothing(
    bench: CeleryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    for name in ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND"):
        monkeypatch.setenv(f"CELERY_{name}", nowhere)
    monkeypatch.setenv("CELERY_LOADER", "no.such:Loader")
    message = new_message()

    offer(bench, message)

    assert arrived(bench, [message]) == [message]


def test_tasks_that_other_applications_share_are_none_of_the_workers(bench: CeleryBench) -> None:
    def broken(app: object) -> None:
        raise RuntimeError("a shared task that cannot be made")

    message = new_message()
    connect_on_app_finalize(broken)
    try:
        offer(bench, message)

        assert arrived(bench, [message]) == [message]
    finally:
        _on_app_finalizers.discard(broken)


def test_a_plain_worker_of_celerys_runs_what_is_offered(
    bench: CeleryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a task of that name in its application, and nothing of ours."""
    got: list[object] = []
    app = Celery("theirs", broker=bench.url, set_as_current=False, fixups=())
    app.conf.update(task_default_queue=bench.name, worker_enable_remote_control=False)
    ready, opened = threading.Event(), list[Any]()

    def begun(consumer: Any) -> None:
        opened.append(consumer.connection.connection)
        ready.set()

    @app.task(name=TASK, shared=False)  # type: ignore[untyped-decorator]  # Celery's
    def process(wire: object) -> None:
        got.append(wire)

    controller = WorkController(
        app=app,
        pool_cls="solo",
        without_gossip=True,
        without_mingle=True,
        use_eventloop=False,
        queues=[bench.name],
        ready_callback=begun,
    )
    app.set_default()
    thread = threading.Thread(target=controller.start, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    message = new_message()
    offer(bench, message)

    wait_until(lambda: got, PATIENCE, "the task has run")
    # Its thread stops it: two threads that read one connection take each other's replies.
    monkeypatch.setattr(celery_state, "should_stop", 0)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    if bench.url.startswith("amqp"):
        # Celery leaves it to the collector where RabbitMQ closes it first.
        opened[0].collect()
    assert [Message.from_wire(wire) for wire in got] == [message]


def test_doctor_looks_at_server_queue_and_write(bench: CeleryBench) -> None:
    found = levels(plugin("celery"), bench.site)

    on_rabbitmq = {"celery": "ok", "celery queue": "ok"}
    on_valkey = {
        "celery": "ok",
        "celery role": "ok",
        "celery write": "ok",
        "celery eviction": "ok",
        "celery persistence": "warning",
    }
    assert found == (on_rabbitmq if bench.url.startswith("amqp") else on_valkey)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1"])
def test_a_server_that_is_away_is_a_failure_of_its_own(url: str) -> None:
    found = plugin("celery")

    assert levels(found, site_of(found, {"broker_url": url})) == {"celery": "failure"}


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_login_that_is_refused_is_told_from_a_server_that_is_away(
    rabbitmq: RabbitMQ, amqp_url: str, password: str
) -> None:
    vhost = amqp_url.rpartition("/")[2]
    rabbitmq.add_user("few", "right")
    rabbitmq.permit("few", vhost, configure=".*", write=".*", read=".*")
    found, url = plugin("celery"), amqp_url.replace("guest:guest@", f"few:{password}@")
    engine = found.build(site_of(found, {"broker_url": url}))

    with closing(engine.caller):
        health = engine.adapter.probe(QUEUE, Deadline.after(SystemClock(), timedelta(seconds=5)))
    rabbitmq.delete_user("few")

    assert health.healthy is (password == "right")
    assert ("refuses every offer" in health.detail) is (password == "wrong")


def test_a_queue_that_was_deleted_is_there_again_for_the_next_offer(
    bench_on_rabbitmq: CeleryBench, rabbitmq: RabbitMQ
) -> None:
    bench, message = bench_on_rabbitmq, new_message()
    offer(bench, new_message())
    rabbitmq.delete_queue(bench.name, vhost=bench.url.rpartition("/")[2])

    offer(bench, message)

    assert arrived(bench, [message]) == [message]


def test_a_classic_queue_is_refused_with_what_to_do_where_the_settings_name_quorum_queues(
    amqp_url: str,
) -> None:
    found = plugin("celery")
    classic, quorum = (
        site_of(found, {"broker_url": amqp_url, "queue_type": each})
        for each in ("classic", "quorum")
    )
    engine = found.build(classic)
    deadline = Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))
    with closing(engine.caller):
        assert engine.adapter.probe(QUEUE, deadline).healthy

    with pytest.raises(ConfigurationError, match=r"quorum queue.*delete_queue"):
        found.build_worker(quorum, post_of(lambda wire, claimed=None: None, print))


def test_ledgers_behind_one_namespace_are_told_apart(bench: CeleryBench) -> None:
    deadline = Deadline.after(SystemClock(), timedelta(seconds=PATIENCE))
    adapter = bench.engine
    assert isinstance(adapter, OwnedEngineAdapter)

    assert adapter.owner("first", deadline, "look") is Owner.NONE
    assert adapter.owner("first", deadline, "if_free") is Owner.OURS
    assert adapter.owner("second", deadline, "if_free") is Owner.ANOTHER
    assert adapter.owner("second", deadline, "take_over") is Owner.OURS
    assert adapter.owner("first", deadline, "look") is Owner.ANOTHER
