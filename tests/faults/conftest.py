"""The deployment of the acceptance tests, and proxies to each server that a test can block."""

from collections.abc import Callable

import pytest

from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
from tests.servers.postgresql.postgres import Postgres
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey


@pytest.fixture
def proxy_to_valkey(valkey: Valkey, proxy_to: Callable[[int], TcpProxy]) -> TcpProxy:
    return proxy_to(valkey.port)


@pytest.fixture
def proxy_to_rabbitmq(
    rabbitmq: RabbitMQ, amqp_url: str, proxy_to: Callable[[int], TcpProxy]
) -> TcpProxy:
    return proxy_to(rabbitmq.port)


@pytest.fixture
def proxy_to_postgres(postgres: Postgres, proxy_to: Callable[[int], TcpProxy]) -> TcpProxy:
    return proxy_to(postgres.port)
