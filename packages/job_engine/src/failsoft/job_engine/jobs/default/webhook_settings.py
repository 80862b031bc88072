"""How webhooks are signed and sent, for every receiver."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import (
    SecretStr,
)

from failsoft.job_engine.jobs.retry_after import LONGEST_WAIT

#: The end of a longer reply is not waited for.
MAX_REPLY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """What the operator decides about webhooks.

    Attributes:
        secrets: Signing secrets by name: `whsec_` and base64; several, separated by spaces, while
            one is rotated.
        allow_private: Whether receivers may have addresses that are not public.
        timeout: How long the receiver may take to connect, and to answer.
        longest_wait: A longer `Retry-After` is cut to this.
    """

    secrets: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr])
    allow_private: bool = False
    timeout: timedelta = timedelta(seconds=15)
    longest_wait: timedelta = LONGEST_WAIT
