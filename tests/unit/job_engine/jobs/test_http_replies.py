from datetime import UTC, datetime, timedelta

import httpx
import pytest

from failsoft.job_engine import NonRetryableError, RetryAfterError
from failsoft.job_engine.jobs.http_replies import (
    PeerUnavailableError,
    check_status,
    connection_errors,
    origin,
    retry_after,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def reply(status: int, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx.Request("POST", "https://user:pw@a.example.com/secret?token=x")
    return httpx.Response(status, headers=named, request=request)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_is_accepted(status: int) -> None:
    check_status(reply(status), now=NOW)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_reply_that_may_be_another_one_later_is_tried_again(status: int) -> None:
    with pytest.raises(PeerUnavailableError, match=str(status)):
        check_status(reply(status), now=NOW)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 422])
def test_a_reply_that_stays_the_same_is_not_tried_again(status: int) -> None:
    with pytest.raises(NonRetryableError, match=str(status)):
        check_status(reply(status, retry_after="5"), now=NOW)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["120", " 120 ", "Thu, 01 Jan 2026 12:02:00 GMT"])
def test_a_retry_after_is_honoured_in_seconds_and_as_a_date(status: int, header: str) -> None:
    with pytest.raises(RetryAfterError) as raised:
        check_status(reply(status, retry_after=header), now=NOW)

    assert raised.value.delay == timedelta(minutes=2)


@pytest.mark.parametrize("header", ["999999", "9" * 4000, "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_retry_after_is_capped(header: str) -> None:
    with pytest.raises(RetryAfterError) as raised:
        check_status(reply(503, retry_after=header), now=NOW, longest_wait=timedelta(hours=1))

    assert raised.value.delay == timedelta(hours=1)


@pytest.mark.parametrize("header", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_of_now_still_waits_a_little(header: str) -> None:
    with pytest.raises(RetryAfterError) as raised:
        check_status(reply(503, retry_after=header), now=NOW)

    assert raised.value.delay == timedelta(seconds=1)


@pytest.mark.parametrize("header", ["", "soon", "-5", "1.5", "١٢", "Thu, 99 Jan 2026"])
def test_a_retry_after_that_cannot_be_read_says_nothing(header: str) -> None:
    assert retry_after(header, NOW) is None


def test_a_date_without_a_zone_is_utc() -> None:
    assert retry_after("Thu, 01 Jan 2026 12:00:30 -0000", NOW) == timedelta(seconds=30)


def test_what_is_shown_of_a_url_shows_no_secret() -> None:
    assert origin(httpx.URL("https://user:pw@a.example.com:8443/secret?token=x")) == (
        "https://a.example.com:8443"
    )


def test_an_error_shows_no_secret_of_the_url() -> None:
    with pytest.raises(NonRetryableError) as raised:
        check_status(reply(404), now=NOW)

    assert str(raised.value) == "expected https://a.example.com to answer 2xx, got 404 Not Found"


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ConnectTimeout("x"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.DecodingError("x"),
    ],
)
def test_a_connection_that_fails_is_tried_again(error: httpx.RequestError) -> None:
    with pytest.raises(PeerUnavailableError), connection_errors("https://a.example.com"):
        raise error


@pytest.mark.parametrize("error", [httpx.InvalidURL("x"), httpx.TooManyRedirects("x")])
def test_a_url_that_can_never_be_reached_is_not_tried_again(error: Exception) -> None:
    with pytest.raises(NonRetryableError), connection_errors("https://a.example.com"):
        raise error
