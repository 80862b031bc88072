"""Deliver one webhook, signed as in the Standard Webhooks specification."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    JsonValue,
    field_validator,
)
from tenacity import wait_chain, wait_random

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs import standard_webhooks
from failsoft.job_engine.jobs.default.webhook_settings import WebhookSettings
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.steps.context import JobContext

if TYPE_CHECKING:
    import httpx

#: The pauses between attempts that the specification gives as its example: ten in three days.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)

_STEP = "deliver"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_OURS = re.compile(
    r"webhook-.*|connection|content-(length|type)|expect|host|keep-alive|proxy-.*|te|trailer"
    r"|transfer-encoding|upgrade"
)


class Webhook(BaseModel):
    """One event for one receiver.

    Attributes:
        url: Where it goes; `http` or `https`, without user and password.
        type: The event's type: words joined by full stops, `invoice.paid`.
        data: The event itself.
        occurred_at: When it happened; sent as `timestamp` if it is known.
        headers: Further headers; those of the connection and of the signature are ours.
        secret_name: Which of the configured secrets signs it; None sends it unsigned.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    url: HttpUrl
    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=128)]
    data: JsonValue
    occurred_at: AwareDatetime | None = None
    headers: dict[str, str] = Field(default={}, max_length=32)
    secret_name: str | None = None

    @property
    def content(self) -> JsonValue:
        """Return what is sent, as JSON."""
        event: dict[str, JsonValue] = {"type": self.type}
        if self.occurred_at is not None:
            event["timestamp"] = self.occurred_at.isoformat()
        return event | {"data": self.data}

    @field_validator("url")
    @classmethod
    def _refuse_credentials(cls, url: HttpUrl) -> HttpUrl:
        if url.username or url.password:
            raise ValueError("expected a URL without user and password")
        return url

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"expected a header of visible ASCII characters, got {name!r}")
            if _OURS.fullmatch(name.lower()):
                raise ValueError(f"expected a header that is not ours to set, got {name!r}")
        return headers


class Delivery(BaseModel):
    """A webhook that was taken.

    Attributes:
        status: The receiver's HTTP status.
        elapsed: How long it took.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    status: int
    elapsed: timedelta


deliver_webhook: JobDefinition[Webhook, Delivery] = declare_job(
    "deliver_webhook",
    payload=Webhook,
    result=Delivery,
    queue="default",
    retry=RetryPolicy(
        max_attempts=len(PAUSES) + 1,
        wait=wait_chain(
            *(wait_random(each.total_seconds(), each.total_seconds() * 1.1) for each in PAUSES)
        ),
    ),
)


class DeliverWebhook:
    """The handler of `deliver_webhook`.

    The message's id is the same in every attempt and on every engine, so that a receiver can
    tell a repeated delivery; its timestamp is the attempt's. Redirects are not followed.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        clock: Clock,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        """Read the secrets.

        Args:
            settings: What the operator decided.
            clock: Gives the attempts their timestamps.
            transport: What sends the requests; `PublicTransport` where None.

        Raises:
            ConfigurationError: If a secret is not as the specification requires.
        """
        # Here, and not above: a program that only dispatches webhooks need not have httpx.
        from failsoft.job_engine.jobs.default.webhook_client import (  # noqa: PLC0415 - see above
            WebhookClient,
        )

        self._clock = clock
        self._keys = {
            name: standard_webhooks.signing_keys(name, secret)
            for name, secret in settings.secrets.items()
        }
        self._client = WebhookClient(settings, clock, transport)

    def __call__(self, payload: Webhook, ctx: JobContext) -> Delivery:
        """Deliver the webhook, once.

        Raises:
            RetryAfterError: If the receiver requests a pause.
            PeerUnavailableError: If it did not answer, or not now.
            NonRetryableError: If it refused, redirected, or has no public address.
            ConfigurationError: If no secret has the payload's `secret_name`.
        """
        return ctx.run(_STEP, self._deliver, payload, ctx.idempotency_key(_STEP))

    def _deliver(self, webhook: Webhook, message_id: str) -> Delivery:
        began = self._clock.steady()
        body = _body(webhook)
        headers = self._headers(webhook, message_id, body)
        status = self._client.post(str(webhook.url), body, headers)
        elapsed = timedelta(seconds=self._clock.steady() - began)
        return Delivery(status=status, elapsed=elapsed)

    def _headers(self, webhook: Webhook, message_id: str, body: bytes) -> Mapping[str, str]:
        keys = self._signing_keys(webhook.secret_name)
        ours = standard_webhooks.headers(message_id, self._clock.now(), body, keys)
        return {**webhook.headers, **ours, "content-type": "application/json"}

    def _signing_keys(self, name: str | None) -> standard_webhooks.Keys:
        if name is None:
            return ()
        if name not in self._keys:
            known = ", ".join(sorted(self._keys)) or "none"
            raise ConfigurationError(
                f"expected the name of a configured webhook secret ({known}), got {name!r}; "
                "set it in FAILSOFT_WEBHOOK_SECRETS"
            )
        return self._keys[name]


def _body(webhook: Webhook) -> bytes:
    content = webhook.content
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
