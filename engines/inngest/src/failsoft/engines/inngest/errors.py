"""What an answer of Inngest's, or the lack of one, says about an offer."""

from http import HTTPStatus

import httpx

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)

#: Nothing has left this process.
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
#: What it says to any event of this key, or at this address.
_REFUSED_EVERYWHERE = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
#: How much of what it says goes into a message.
_SAID_LENGTH = 200


def transport_error(error: httpx.HTTPError) -> EngineError:
    """Return what the failure of a request means that may have been sent."""
    if isinstance(error, _UNSENT):
        return EngineUnavailableError(f"Inngest was not reached: {_named(error)}")
    return OfferUncertainError(f"Inngest did not confirm: {_named(error)}")


def answer_error(status: int, said: str) -> EngineError | None:
    """Return what the status of an answer means; None where events were taken.

    Any 5xx leaves the offer uncertain: it may come from a proxy that gave up waiting, and Inngest
    may have stored the event.
    """
    text = f"{status} {said[:_SAID_LENGTH]}".strip()
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if status in _REFUSED_EVERYWHERE or status < HTTPStatus.BAD_REQUEST:
        return EngineRefusedError(f"Inngest refuses every offer: {text}")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return OfferRefusedError(f"Inngest refused: {text}")
    return OfferUncertainError(f"Inngest did not confirm: {text}")


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__
