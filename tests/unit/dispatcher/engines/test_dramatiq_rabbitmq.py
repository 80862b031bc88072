"""The broker of RabbitMQ before it has connected: what its URL says of time."""

from typing import Any

from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker

URL = "amqp://guest:guest@host:5672/%2F"


def parameters(url: str) -> Any:
    return SafeRabbitmqBroker(url).parameters


def test_a_url_that_says_nothing_of_time_gets_bounds() -> None:
    found = parameters(URL)

    assert (found.heartbeat, found.blocked_connection_timeout) == (10, 3)
    assert (found.socket_timeout, found.stack_timeout, found.connection_attempts) == (2, 2, 1)


def test_what_a_url_says_is_obeyed() -> None:
    found = parameters(f"{URL}?heartbeat=30&socket_timeout=5&connection_attempts=2")

    assert (found.heartbeat, found.socket_timeout, found.connection_attempts) == (30, 5, 2)
    assert (found.blocked_connection_timeout, found.stack_timeout) == (3, 2)


def test_each_of_several_urls_has_its_own_say() -> None:
    first, second = parameters(f"{URL}?heartbeat=0;{URL}?blocked_connection_timeout=60")

    assert (first.heartbeat, first.blocked_connection_timeout) == (0, 3)
    assert (second.heartbeat, second.blocked_connection_timeout) == (10, 60)
