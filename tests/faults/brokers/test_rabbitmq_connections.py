"""No connection to RabbitMQ stays open that nothing uses, whatever became of its channel."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from dramatiq.broker import Consumer
from dramatiq.errors import ConnectionClosed

from failsoft.engines.dramatiq.messages import Inbox
from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.rabbitmq import RabbitMQ

QUEUE = "failsoft-threads"
MAY_NOT_READ = "may-not-read"


@pytest.fixture
def vhost(amqp_url: str) -> str:
    return amqp_url.rpartition("/")[2]


@pytest.fixture
def broker(amqp_url: str) -> Iterator[SafeRabbitmqBroker]:
    with closing(worker_side(amqp_url)) as broker:
        yield broker


@pytest.fixture
def expect_open(rabbitmq: RabbitMQ, vhost: str) -> Callable[[int], None]:
    """Wait until so many connections to the virtual host are open."""

    def wait(count: int) -> None:
        look = f'length(rabbit_connection_tracking:list(<<"{vhost}">>)).'
        expected = f"{count} connections are open"
        wait_until(lambda: rabbitmq.evaluate(look) == str(count), PATIENCE, expected)

    return wait


def worker_side(url: str) -> SafeRabbitmqBroker:
    return SafeRabbitmqBroker(url, Inbox(lambda error: None))


def is_lost(consumer: Consumer) -> bool:
    try:
        next(consumer)
    except ConnectionClosed:
        return True
    return False


def test_a_consumer_has_one_connection(
    broker: SafeRabbitmqBroker, expect_open: Callable[[int], None]
) -> None:
    consumer = broker.consume(QUEUE, timeout=100)
    expect_open(1)

    consumer.close()
    expect_open(0)


def test_a_consumer_whose_channel_was_closed_closes_its_connection(
    broker: SafeRabbitmqBroker, expect_open: Callable[[int], None]
) -> None:
    consumer = broker.consume(QUEUE, timeout=100)
    # An acknowledgement that RabbitMQ does not expect: it closes the channel.
    channel: Any = vars(consumer)["channel"]
    channel.basic_ack(1000)
    wait_until(lambda: is_lost(consumer), PATIENCE, "the consumer has lost its channel")

    with suppress(ConnectionClosed):
        consumer.close()

    expect_open(0)


def test_a_consumer_that_may_not_read_leaves_no_connection(
    rabbitmq: RabbitMQ, vhost: str, expect_open: Callable[[int], None]
) -> None:
    rabbitmq.add_user(MAY_NOT_READ, "secret")
    rabbitmq.permit(MAY_NOT_READ, vhost, configure=".*", write=".*", read="")
    url = rabbitmq.url_of(vhost).replace("guest:guest", f"{MAY_NOT_READ}:secret")
    try:
        with closing(worker_side(url)) as broker:
            with pytest.raises(ConnectionClosed, match="ACCESS_REFUSED"):
                broker.consume(QUEUE)
            expect_open(0)
    finally:
        rabbitmq.delete_user(MAY_NOT_READ)
