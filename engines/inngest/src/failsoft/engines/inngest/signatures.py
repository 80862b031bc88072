"""The signature of Inngest's calls: whose they are, how old, and whether they came before.

Inngest's own SDK compares the signature alone: a call that was recorded once is good for ever
(ING-04).
"""

import hmac
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import cast

import jcs

from failsoft.engines.inngest.settings import bare

#: The header with the signature, as `t=<seconds>&s=<hexadecimal>`.
HEADER = "x-inngest-signature"
#: How far the time in a signature may be from this machine's, in seconds.
TOLERANCE_SECONDS = 5 * 60
#: How many signatures are remembered; a call that is older than the oldest of them may be repeated,
#: and finds its message stale.
REMEMBERED = 100_000
#: The longest body that is put in order before its signature is known, in bytes. Calls of ours are
#: shorter by far, and a longer one of a stranger's would take its time.
CANONICAL_BYTES = 16_384

_FORM = re.compile(r"t=(?P<at>[0-9]{1,12})&s=(?P<signature>[0-9a-fA-F]{64})")


class SignatureError(Exception):
    """A call is not signed by Inngest, or not anew."""


class Verifier:
    """Verifies the calls to one worker.

    Args:
        keys: The signing keys, the present one first.
        now: The seconds since 1970.
    """

    def __init__(self, keys: Sequence[str], now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now
        self._seen = OrderedDict[bytes, float]()

    def verify(self, header: str | None, body: bytes) -> str:
        """Return the key that a call is signed with, and remember its signature.

        Raises:
            SignatureError: The call is to be refused; the message holds no key.
        """
        at, signature = _parsed(header)
        now = self._now()
        if abs(now - at) > TOLERANCE_SECONDS:
            raise SignatureError(
                f"expected a signature of the last {TOLERANCE_SECONDS} s, got one of "
                f"{now - at:.0f} s ago; compare the clocks"
            )
        key = self._key_of(signature, at, body)
        self._forget(now)
        if bytes.fromhex(signature) in self._seen:
            raise SignatureError("expected a new call, got one that came before")
        self._seen[bytes.fromhex(signature)] = now
        return key

    def forget(self, header: str | None) -> None:
        """Let a call be repeated that nothing was decided about."""
        self._seen.pop(bytes.fromhex(_parsed(header)[1]), None)

    def _key_of(self, signature: str, at: int, body: bytes) -> str:
        for form in _forms(body):
            for key in self._keys:
                if hmac.compare_digest(_mac(key, form, at), signature):
                    return key
        raise SignatureError("expected a call that Inngest signed, got another signature")

    def _forget(self, now: float) -> None:
        # Twice the tolerance: a signature may be of a clock that is ahead.
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) < REMEMBERED and oldest > now - 2 * TOLERANCE_SECONDS:
                break
            self._seen.popitem(last=False)


def sign(key: str, body: bytes, at: int) -> str:
    """Return the signature of an answer, or of a call as Inngest makes it."""
    return f"t={at}&s={_mac(key, body, at)}"


def _mac(key: str, body: bytes, at: int) -> str:
    return hmac.new(bare(key).encode(), body + str(at).encode(), sha256).hexdigest()


def _forms(body: bytes) -> Iterator[bytes]:
    """Yield a body, and the form of it that Inngest signs: it may be encoded anew on its way."""
    yield body
    if len(body) <= CANONICAL_BYTES:
        with suppress(ValueError, TypeError, RecursionError, OverflowError):
            yield cast("bytes", jcs.canonicalize(json.loads(body)))


def _parsed(header: str | None) -> tuple[int, str]:
    if header is None:
        raise SignatureError(f"expected a call with the header {HEADER}, got one without")
    found = _FORM.fullmatch(header)
    if found is None:
        raise SignatureError(f"expected t=<seconds>&s=<hexadecimal> in {HEADER}")
    return int(found["at"]), found["signature"].lower()
