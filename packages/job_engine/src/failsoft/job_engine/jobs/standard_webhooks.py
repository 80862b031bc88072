"""Signatures as in the Standard Webhooks specification, version 1.0.0, symmetric (`v1`)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import SecretStr

from failsoft.job_engine.errors import ConfigurationError

#: The keys that sign a message.
Keys = Sequence[bytes]

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)


def signing_keys(name: str, secrets: SecretStr) -> Keys:
    """Read the secrets of one name: `whsec_` and base64, several separated by spaces.

    While a secret is rotated the newer and the older one are both given, and both sign.

    Raises:
        ConfigurationError: If one is not as the specification requires; none is shown.
    """
    keys = [_key(name, text) for text in secrets.get_secret_value().split()]
    if not keys:
        raise ConfigurationError(f"expected a webhook secret named {name!r}, got an empty one")
    return keys


def _key(name: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise ConfigurationError(
            f"webhook secret {name!r}: expected {_PREFIX} and 24 to 64 bytes in base64, got "
            "something else"
        )
    return key


def headers(message_id: str, moment: datetime, body: bytes, keys: Keys) -> Mapping[str, str]:
    """Return the webhook's headers; without a key it is not signed.

    Args:
        message_id: The same in every attempt to send the message; without a full stop.
        moment: When this attempt is made.
        body: Exactly what is sent.
        keys: The keys that sign it.
    """
    timestamp = str(int(moment.timestamp()))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = [f"v1,{_signature(key, content)}" for key in keys]
    found = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    return found | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def _signature(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
