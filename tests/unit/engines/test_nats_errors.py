"""What NATS's errors say about an offer: nothing that may have been stored is called refused."""

import asyncio

import pytest
from nats.errors import AuthorizationError, MaxPayloadError, NoServersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import (
    APIError,
    BadRequestError,
    NoStreamResponseError,
    ServiceUnavailableError,
)

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.engines.nats.errors import lookup_error, offer_error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (APIError(code=409, description="sealed"), OfferRefusedError),
        (BadRequestError(code=400, description="maximum messages exceeded"), OfferRefusedError),
        (ServiceUnavailableError(code=503, description="no resources"), EngineRefusedError),
        (NoStreamResponseError(), OfferRefusedError),
        (MaxPayloadError(), OfferRefusedError),
        (AuthorizationError(), EngineRefusedError),
        (NatsTimeoutError(), OfferUncertainError),
        (TimeoutError(), OfferUncertainError),
        (ConnectionResetError(), OfferUncertainError),
        (asyncio.CancelledError(), OfferUncertainError),
    ],
)
def test_what_is_known_of_an_offer(error: BaseException, meaning: type[EngineError]) -> None:
    found = offer_error(error)

    assert type(found) is meaning
    assert str(found)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (NoServersError(), EngineUnavailableError),
        (TimeoutError(), EngineUnavailableError),
        (ConnectionRefusedError(), EngineUnavailableError),
        (asyncio.CancelledError(), EngineUnavailableError),
        (AuthorizationError(), EngineRefusedError),
    ],
)
def test_before_anything_was_sent_no_error_leaves_an_offer_uncertain(
    error: BaseException, meaning: type[EngineError]
) -> None:
    assert type(lookup_error(error)) is meaning
