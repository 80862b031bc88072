"""The one place where RabbitMQ's errors become engine errors.

A refusal concerns one queue: it is full, the user has no right to it, or it was declared in another
way. What concerns RabbitMQ as a whole (an alarm, a login) closes or blocks the connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError

from dramatiq.errors import ConnectionClosed
from failsoft.engine_api import (
    ConfigurationError,
    EngineError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
    redacted,
)

#: AMQP's reply code for what a user has no right to.
NO_RIGHT = 403
#: AMQP's reply code for a queue that does not exist.
QUEUE_MISSING = 404
#: AMQP's reply code for a queue that was declared with other arguments.
OTHER_ARGUMENTS = 406


class _Broker(Protocol):
    @property
    def channel(self) -> Any:
        """The channel of this thread, opened if there is none."""
        ...

    def forget_connection(self) -> None:
        """Drop this thread's connection."""
        ...


@contextmanager
def amqp_errors(broker: _Broker) -> Iterator[None]:
    """Translate what the one exchange inside raises; a broken connection is forgotten."""
    try:
        _ = broker.channel
    except Exception as error:  # pika raises more than its own classes here (MQ-03)
        broker.forget_connection()
        raise EngineUnavailableError(f"RabbitMQ was not reached: {_text(error)}") from error
    try:
        yield
    except ConfigurationError:
        broker.forget_connection()
        raise
    except Exception as error:
        if not isinstance(error, NackError | UnroutableError):
            # Those two are answers: the connection is as good as before.
            broker.forget_connection()
        raise translated(error) from error


def translated(error: Exception) -> EngineError:
    """Return the engine's error that an error of pika's or of a socket stands for."""
    # Dramatiq's, around what closed the channel while a queue was declared.
    cause = error.args[0] if isinstance(error, ConnectionClosed) and error.args else error
    if isinstance(cause, ChannelClosedByBroker | NackError | UnroutableError):
        return OfferRefusedError(f"RabbitMQ refused: {_text(cause)}")
    # Every other error after the first byte means unknown (MQ-03).
    return OfferUncertainError(f"RabbitMQ did not confirm: {_text(cause)}")


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {redacted(str(error))}" if str(error) else type(error).__name__
