"""Kombu's RabbitMQ transport for the half that works, over our own connections."""

from typing import Any

from kombu.transport import pyamqp

from failsoft.engines.celery.rabbitmq.connection import connect, drop
from failsoft.engines.celery.settings import CelerySettings

#: How long an answer of RabbitMQ's may take, in seconds.
ANSWER_SECONDS = 3.0


class _Message(pyamqp.Message):
    """A message that is not unpacked: Kombu would, to whatever length (CE-04)."""

    def __init__(self, msg: Any, channel: Any = None, **kwargs: Any) -> None:
        headers = msg.properties.get("application_headers") or {}
        msg.properties["application_headers"] = {
            name: value for name, value in headers.items() if name != "compression"
        }
        super().__init__(msg, channel, **kwargs)


class _Channel(pyamqp.Channel):
    """A channel that decodes no body by the encoding that it names."""

    Message = _Message

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "auto_decode": False})


class RabbitmqTransport(pyamqp.Transport):
    """A transport that connects as the half that offers does, to the first node that answers."""

    def establish_connection(self) -> Any:
        """Connect, with bounds."""
        settings: CelerySettings = self.client.transport_options["settings"]
        connection: Any = connect(settings, ANSWER_SECONDS)
        connection.Channel = _Channel
        connection.client = self.client
        return connection

    def close_connection(self, connection: Any) -> None:
        """Close in order, and let go of the socket where RabbitMQ answers otherwise."""
        try:
            super().close_connection(connection)
        finally:
            drop(connection)
