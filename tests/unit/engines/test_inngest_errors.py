"""What Inngest's answers say about an offer: what may be stored is never called refused."""

import httpx
import pytest

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.engines.inngest.errors import answer_error, transport_error


@pytest.mark.parametrize("status", [200, 201, 202])
def test_events_are_taken(status: int) -> None:
    assert answer_error(status, "") is None


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (301, EngineRefusedError),
        (400, OfferRefusedError),
        (401, EngineRefusedError),
        (402, EngineRefusedError),
        (403, EngineRefusedError),
        (404, EngineRefusedError),
        (405, EngineRefusedError),
        (413, OfferRefusedError),
        (429, EngineRefusedError),
        (500, OfferUncertainError),
        (502, OfferUncertainError),
        (503, OfferUncertainError),
        (504, OfferUncertainError),
    ],
)
def test_what_a_status_says(status: int, meaning: type[EngineError]) -> None:
    found = answer_error(status, "Event key not found")

    assert type(found) is meaning
    assert str(status) in str(found)
    assert "Event key not found" in str(found)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (httpx.ConnectError("refused"), EngineUnavailableError),
        (httpx.ConnectTimeout(""), EngineUnavailableError),
        (httpx.PoolTimeout(""), EngineUnavailableError),
        (httpx.ReadTimeout(""), OfferUncertainError),
        (httpx.WriteTimeout(""), OfferUncertainError),
        (httpx.ReadError(""), OfferUncertainError),
        (httpx.WriteError(""), OfferUncertainError),
        (httpx.RemoteProtocolError("disconnected"), OfferUncertainError),
    ],
)
def test_what_a_failure_says(error: httpx.HTTPError, meaning: type[EngineError]) -> None:
    found = transport_error(error)

    assert type(found) is meaning
    assert str(found).split(": ")[1]


def test_a_long_answer_is_cut() -> None:
    assert len(str(answer_error(500, "x" * 10_000))) < 300
