"""Celery keeps every promise of an engine, on Valkey and on RabbitMQ."""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pika
import pytest

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.engines.celery.messages import headers_of
from failsoft.queue import shared_client
from failsoft.testing import EngineSuite, ForeignMessage, WorkerSuite
from failsoft.testing.engine_suite.bench import new_message
from tests.contract.engine_setups import PluginBench, Server
from tests.servers.rabbitmq import Application, RabbitMQ
from tests.servers.valkey import Valkey


class CeleryBench(PluginBench):
    """Tasks on whatever broker the URL names, with Celery's own worker."""

    def __init__(self, server: Server, url: str, **settings: Any) -> None:
        self._url = url
        super().__init__(plugin("celery"), server, broker_url=url, **settings)

    @property
    def foreign(self) -> tuple[ForeignMessage, ...]:
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
        if self._url.startswith("amqp"):
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
        if self._url.startswith("amqp"):
            self._plant_in_rabbitmq(message)
        else:
            shared_client(self._url).lpush(self.name, message.body)

    def _plant_in_rabbitmq(self, message: ForeignMessage) -> None:
        headers = dict(message.headers)
        properties = pika.BasicProperties(
            content_type=headers.pop("content-type", "application/json"), headers=headers
        )
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            channel = connection.channel()
            channel.queue_declare(self.name, durable=True)
            channel.basic_publish("", self.name, message.body, properties)


class TestCeleryOnValkey:
    """On a Valkey that forgets everything when it is stopped."""

    @pytest.fixture
    def bench(self, valkey: Valkey) -> Iterator[CeleryBench]:
        with closing(CeleryBench(valkey, valkey.url)) as bench:
            yield bench

    class TestEngine(EngineSuite):
        """The half that offers."""

    class TestWorker(WorkerSuite):
        """The half that works."""


class TestCeleryOnRabbitmq:
    """On a RabbitMQ that is stopped and started."""

    @pytest.fixture
    def bench(self, rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[CeleryBench]:
        with closing(CeleryBench(Application(rabbitmq), amqp_url)) as bench:
            yield bench

    class TestEngine(EngineSuite):
        """The half that offers."""

    class TestWorker(WorkerSuite):
        """The half that works."""
