"""What an HTTP reply, or its absence, means for the job that sent the request."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx

from failsoft.job_engine.errors import FailsoftError, NonRetryableError, RetryAfterError
from failsoft.job_engine.jobs.retry_after import LONGEST_WAIT, SHORTEST_WAIT, retry_after

#: Besides 5xx, the replies that may be another one later.
TRY_AGAIN = frozenset({408, 425, 429})


class PeerUnavailableError(FailsoftError):
    """The other side did not answer, or not now; the job is tried again."""


def origin(url: httpx.URL) -> str:
    """Return what may be shown of a URL: its path and query may hold a secret."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


@contextmanager
def connection_errors(peer: str) -> Iterator[None]:
    """Turn what httpx raises into errors that say whether to try again.

    Raises:
        PeerUnavailableError: If the other side could not be reached or broke off.
        NonRetryableError: If the URL, or where it redirects to, can never be reached.
    """
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
        raise NonRetryableError(f"expected a URL that can be reached, got {error}") from error
    except httpx.RequestError as error:
        raise PeerUnavailableError(
            f"expected {peer} to answer, got {type(error).__name__}: {str(error)[:200]}"
        ) from error


def check_status(
    response: httpx.Response, *, now: datetime, longest_wait: timedelta = LONGEST_WAIT
) -> None:
    """Accept a 2xx reply.

    Raises:
        RetryAfterError: If the reply may be another one later, and says when.
        PeerUnavailableError: If it may be another one later.
        NonRetryableError: If it will stay the same; a redirect too.
    """
    if response.is_success:
        return
    problem = f"expected {origin(response.request.url)} to answer 2xx, got {_shown(response)}"
    if response.status_code not in TRY_AGAIN and not response.is_server_error:
        raise NonRetryableError(problem)
    wait = retry_after(response.headers.get("retry-after", ""), now)
    if wait is None:
        raise PeerUnavailableError(problem)
    raise RetryAfterError(min(max(wait, SHORTEST_WAIT), longest_wait), problem)


def _shown(response: httpx.Response) -> str:
    # Not the reply's own words: they are the other side's, and would be kept in the ledger.
    try:
        return f"{response.status_code} {HTTPStatus(response.status_code).phrase}"
    except ValueError:
        return str(response.status_code)
