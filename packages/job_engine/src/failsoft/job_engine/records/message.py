"""What travels through an engine: `{v, job_id, epoch, kid, mac}` and nothing else (rule 2).

A message only wakes a worker: code that controls a broker can delay, drop, replay or forge it, and
the claim in the ledger decides whether the job runs. The MAC keeps forged messages out and ties
each to one namespace, one job, one epoch and one engine.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import ConfigurationError, LedgerError, MessageRejectedError

#: The version of the messages that are signed.
VERSION = 2
#: The version without the namespace: workers of before sign it, and it is read while they are
#: replaced (decision 0029).
WITHOUT_NAMESPACE = 1
#: The versions that are read; any other is refused.
VERSIONS = (WITHOUT_NAMESPACE, VERSION)
#: No message is longer, in bytes of JSON.
MAX_MESSAGE_BYTES = 512
#: Keys are read again for an unknown key id, but no more often than this.
RELOAD_SECONDS = 1.0
#: And they are read again after this long in any case.
REFRESH_SECONDS = 5.0
#: A new key signs from this age on: every process that verifies has read it by then.
ACTIVATION = timedelta(seconds=2 * REFRESH_SECONDS)

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELDS = {"v": int, "job_id": str, "epoch": int, "kid": str, "mac": str}


def is_job_id(text: object) -> bool:
    """Return whether it may be a job's id: text that both engines and a URL can carry."""
    return isinstance(text, str) and _JOB_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Message:
    """One signed offer of a job, as an engine carries it."""

    v: int
    job_id: str
    epoch: int
    kid: str
    mac: str

    def to_wire(self) -> dict[str, Any]:
        """Return the message as the JSON object that is sent."""
        return {
            "v": self.v,
            "job_id": self.job_id,
            "epoch": self.epoch,
            "kid": self.kid,
            "mac": self.mac,
        }

    @classmethod
    def from_wire(cls, wire: object) -> "Message":
        """Read a message that came from an engine.

        Args:
            wire: The decoded JSON object, or its text.

        Raises:
            MessageRejectedError: If it is anything but exactly the five fields.
        """
        fields = _decoded(wire)
        if fields.keys() != _FIELDS.keys():
            raise MessageRejectedError("expected the five message fields, got others")
        if any(type(fields[name]) is not kind for name, kind in _FIELDS.items()):
            raise MessageRejectedError("expected the message fields in their types, got others")
        message = cls(**fields)
        if message.v not in VERSIONS:
            known = " or ".join(map(str, VERSIONS))
            raise MessageRejectedError(f"expected message version {known}, got {message.v}")
        if not is_job_id(message.job_id) or not 0 < message.epoch < 2**31:
            raise MessageRejectedError("expected a job id and an epoch in range, got others")
        return message


def _decoded(wire: object) -> Mapping[str, Any]:
    try:
        text = wire if isinstance(wire, str | bytes) else json.dumps(wire)
        if len(text) > MAX_MESSAGE_BYTES:
            raise MessageRejectedError(f"expected at most {MAX_MESSAGE_BYTES} bytes, got more")
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageRejectedError("expected a JSON object, got something else") from error
    if not isinstance(fields, dict):
        raise MessageRejectedError("expected a JSON object, got something else")
    return fields


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs messages; it lives in the ledger and nowhere else."""

    kid: str
    secret: bytes = field(repr=False)
    #: Keyed once and copied for each MAC: the key is two blocks of SHA-256.
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the MAC's beginning."""
        object.__setattr__(self, "_keyed", hmac.new(self.secret, digestmod=hashlib.sha256))

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new random key."""
        return cls(kid=secrets.token_hex(4), secret=secrets.token_bytes(32))

    def mac(self, job_id: str, epoch: int, engine: str, namespace: str | None = None) -> str:
        """Return the MAC of an offer, in hexadecimal.

        Args:
            job_id: The job.
            epoch: The offer's epoch.
            engine: The engine that carries it.
            namespace: The program's namespace; None for a message of the version without one.
        """
        # No part can hold a `|`, so no two offers have one text.
        v = str(WITHOUT_NAMESPACE) if namespace is None else f"{VERSION}|{namespace}"
        text = f"{v}|{job_id}|{epoch}|{engine}|{self.kid}"
        keyed = self._keyed.copy()
        keyed.update(text.encode())
        return keyed.hexdigest()


class KeyRing:
    """The signing keys of the ledger, the one that signs first, loaded when they are needed."""

    def __init__(
        self, load: Callable[[], Sequence[SigningKey]], clock: Clock, namespace: str = ""
    ) -> None:
        """Keep the function that reads the keys from the ledger.

        Args:
            load: Reads the keys.
            clock: Says when they are to be read again.
            namespace: The program's; a message that was signed in another is refused.
        """
        self._load = load
        self._clock = clock
        self._namespace = namespace
        self._keys: Sequence[SigningKey] = ()
        self._loaded_at = float("-inf")

    def sign(self, job_id: str, epoch: int, engine: str) -> Message:
        """Return the signed message for an offer.

        Raises:
            ConfigurationError: If the ledger holds no key.
        """
        self._refresh()
        if not self._keys:
            raise ConfigurationError(
                "expected a signing key in the ledger, got none; run `failsoft ledger upgrade`"
            )
        key = self._keys[0]
        mac = key.mac(job_id, epoch, engine, self._namespace)
        return Message(VERSION, job_id, epoch, key.kid, mac)

    def verify(self, message: Message, engine: str) -> None:
        """Accept a message that one of the keys signed for this engine.

        Raises:
            MessageRejectedError: If the key is unknown or the MAC is wrong.
        """
        self._refresh()
        key = self._find(message.kid)
        if key is None:
            raise MessageRejectedError("expected a known signing key, got another")
        namespace = None if message.v == WITHOUT_NAMESPACE else self._namespace
        expected = key.mac(message.job_id, message.epoch, engine, namespace)
        if not hmac.compare_digest(expected.encode(), message.mac.encode(errors="replace")):
            raise MessageRejectedError("expected the MAC of a known key, got another")

    def _refresh(self) -> None:
        """Read the keys again now and then: a rotation adds one and retires another."""
        if self._clock.steady() - self._loaded_at <= REFRESH_SECONDS:
            return
        try:
            self._reload()
        except LedgerError:
            if not self._keys:
                raise

    def _find(self, kid: str) -> SigningKey | None:
        known = {key.kid: key for key in self._keys}
        if kid not in known and self._clock.steady() - self._loaded_at > RELOAD_SECONDS:
            # A rotation may have made it since; strangers' key ids must not cost a query each.
            self._reload()
            known = {key.kid: key for key in self._keys}
        return known.get(kid)

    def _reload(self) -> None:
        self._keys = self._load()
        self._loaded_at = self._clock.steady()
