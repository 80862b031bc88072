"""Hashes of passwords and tokens, as the settings hold them."""

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass

from failsoft.job_engine.errors import ConfigurationError

#: Cost of scrypt: 16 MiB and about 50 ms for each look.
_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16
_KEY_BYTES = 32
#: The longest password that is looked at: a longer one costs time and is no password.
MAX_PASSWORD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A password as scrypt leaves it, written `scrypt$SALT$KEY` in base64."""

    salt: bytes
    key: bytes

    @classmethod
    def of(cls, password: str) -> "PasswordHash":
        """Hash a password under a new salt."""
        salt = os.urandom(_SALT_BYTES)
        return cls(salt, _derived(password, salt))

    @classmethod
    def parse(cls, text: str) -> "PasswordHash":
        """Read what `str` writes.

        Raises:
            ConfigurationError: It is none; the message does not repeat it.
        """
        kind, _, rest = text.partition("$")
        try:
            salt, key = (base64.b64decode(part, validate=True) for part in rest.split("$"))
        except (ValueError, binascii.Error):
            salt = key = b""
        if kind != "scrypt" or len(salt) != _SALT_BYTES or len(key) != _KEY_BYTES:
            raise ConfigurationError(
                "expected a hash that `failsoft console hash` printed, got something else"
            )
        return cls(salt, key)

    def __str__(self) -> str:
        parts = (base64.b64encode(part).decode() for part in (self.salt, self.key))
        return f"scrypt${'$'.join(parts)}"

    def matches(self, password: str) -> bool:
        """Return whether a password is the one, in the same time either way."""
        return hmac.compare_digest(_derived(password, self.salt), self.key)


def token_hash(token: str) -> str:
    """Return the SHA-256 of a token, written `sha256$HEX`.

    Tokens are random: guessing one does not become easier by a fast hash.
    """
    return f"sha256${hashlib.sha256(token.encode()).hexdigest()}"


def check_token_hash(text: str) -> str:
    """Return a token's hash as it is.

    Raises:
        ConfigurationError: It is none; the message does not repeat it.
    """
    kind, _, digest = text.partition("$")
    is_hex = len(digest) == hashlib.sha256().digest_size * 2 and not digest.strip(
        "0123456789abcdef"
    )
    if kind != "sha256" or not is_hex:
        raise ConfigurationError(
            "expected a hash that `failsoft console hash --token` printed, got something else"
        )
    return text


def _derived(password: str, salt: bytes) -> bytes:
    text = password.encode(errors="surrogatepass")[:MAX_PASSWORD_BYTES]
    return hashlib.scrypt(text, salt=salt, n=_N, r=_R, p=_P, dklen=_KEY_BYTES)
