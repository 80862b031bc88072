"""What an error of NATS's says about an offer."""

from collections.abc import Sequence

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from nats.errors import AuthorizationError, MaxPayloadError
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

#: What is known of an offer by the kind of its error, the first that fits.
_KNOWN: Sequence[tuple[type[BaseException], type[EngineError], str]] = (
    (AuthorizationError, EngineRefusedError, "NATS refuses every offer"),
    # It says so of itself: no room, no leader, too few servers.
    (ServiceUnavailableError, EngineRefusedError, "JetStream refuses every offer"),
    (APIError, OfferRefusedError, "JetStream refused"),
    (NoStreamResponseError, OfferRefusedError, "no stream takes the queue's messages"),
    (MaxPayloadError, OfferRefusedError, "NATS takes no message so large"),
)

_LOGIN = "authorization violation"


def offer_error(error: BaseException) -> EngineError:
    """Return what an error means that came when the offer may have been sent."""
    if isinstance(error, EngineError):
        return error
    for kind, meaning, text in _KNOWN:
        if isinstance(error, kind):
            return meaning(f"{text}: {error}")
    if _LOGIN in str(error).lower():
        # While it connects, nats-py has a name for it only where the server says it otherwise.
        return EngineRefusedError(f"NATS refuses every offer: {error}")
    return OfferUncertainError(f"NATS did not confirm: {_said(error)}")


def lookup_error(error: BaseException) -> EngineError:
    """Return what an error means that came before anything was sent."""
    found = offer_error(error)
    if isinstance(found, OfferUncertainError):
        return EngineUnavailableError(f"NATS was not reached: {_said(error)}")
    return found


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
