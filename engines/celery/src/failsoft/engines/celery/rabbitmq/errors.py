"""The one place where py-amqp's errors become engine errors.

A refusal concerns one queue: it is full, the user has no right to it, or it was declared in another
way. What concerns RabbitMQ as a whole (an alarm, a login) closes or blocks the connection.
"""

from amqp.exceptions import AccessRefused, ChannelError, MessageNacked, NotAllowed

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
    redacted,
)


def connect_error(error: BaseException) -> EngineError:
    """Return what an error means that came before anything was sent."""
    if isinstance(error, AccessRefused | NotAllowed):
        # The login, or the virtual host.
        return EngineRefusedError(f"RabbitMQ refuses every offer: {_text(error)}")
    return EngineUnavailableError(f"RabbitMQ was not reached: {_text(error)}")


def offer_error(error: BaseException) -> EngineError:
    """Return what an error means that came when the offer may have been sent."""
    if isinstance(error, ChannelError | MessageNacked):
        return OfferRefusedError(f"RabbitMQ refused: {_text(error)}")
    return OfferUncertainError(f"RabbitMQ did not confirm: {_text(error)}")


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {redacted(str(error))}" if str(error) else type(error).__name__
