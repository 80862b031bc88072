"""Dramatiq alone, on RabbitMQ with publisher confirms; messages and queues are durable."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.peers.program import EMAIL, URL, become, witness

broker = RabbitmqBroker(url=os.environ[URL], confirm_delivery=True)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=os.environ["BENCH_QUEUE"])
def no_op(number: int, email: str) -> None:
    """Note the run."""
    witness(number)


class Producer:
    """Sends one message after the other, and waits for each confirm."""

    def enqueue(self, number: int) -> object:
        """Send one message."""
        return no_op.send(number, EMAIL)

    def ended(self) -> None:
        """Return that nothing is recorded: an acknowledged message is gone."""


def work() -> None:
    """Work until ended, in one process with Dramatiq's eight threads."""
    become("dramatiq", "bench.peers.programs.dramatiq", "--processes", "1")
