"""The HTTP of a webhook: a POST, of whose reply only the status counts."""

from collections.abc import Mapping
from contextlib import suppress

import httpx

from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.jobs.default.webhook_settings import MAX_REPLY_BYTES, WebhookSettings
from failsoft.job_engine.jobs.http_replies import check_status, connection_errors, origin
from failsoft.job_engine.jobs.public_http import PublicTransport


class WebhookClient:
    """Posts webhooks; a connection for each."""

    def __init__(
        self, settings: WebhookSettings, clock: Clock, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._client = httpx.Client(
            transport=transport or PublicTransport(allow_private=settings.allow_private),
            timeout=settings.timeout.total_seconds(),
            headers={"user-agent": "Failsoft", "connection": "close"},
            trust_env=False,
        )

    def post(self, location: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body; return the status of the reply, a 2xx.

        Raises:
            RetryAfterError: If the receiver requests a pause.
            PeerUnavailableError: If it did not answer, or not now.
            NonRetryableError: If it refused, redirected, or has no public address.
        """
        url = httpx.URL(location)
        with (
            connection_errors(origin(url)),
            self._client.stream("POST", url, content=body, headers=headers) as response,
        ):
            self._drain(response)
            check_status(response, now=self._clock.now(), longest_wait=self._settings.longest_wait)
        return response.status_code

    def _drain(self, response: httpx.Response) -> None:
        """Take the rest of a short reply, so that its sender sees no broken connection."""
        deadline = Deadline.after(self._clock, self._settings.timeout)
        taken = 0
        # The status says that it was delivered, whatever becomes of the words after it.
        with suppress(httpx.TransportError, httpx.StreamError):
            for chunk in response.iter_raw():
                taken += len(chunk)
                if taken > MAX_REPLY_BYTES or deadline.passed:
                    return
