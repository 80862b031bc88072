"""What both sides of Inngest's protocol agree on: signatures, ids, retries."""

import hmac
import random
import re
import secrets
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256

#: The largest event, in bytes, and the most events of one request.
MAX_EVENT_BYTES, MAX_EVENTS = 3 * 1024 * 1024, 5000
#: How often a function is called again unless it says otherwise, and at most.
DEFAULT_RETRIES, MAX_RETRIES = 4, 20
#: The longest that a call may take, in seconds.
CALL_SECONDS = 2 * 60 * 60
#: How long an event's own id is remembered, in seconds.
ID_SECONDS = 24 * 60 * 60
#: The pauses before a call is made again, in seconds, and what is added at random at most.
PAUSES = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
JITTER_SECONDS = 30
#: The shortest and the longest pause that an answer may ask for, in seconds.
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 24 * 60 * 60

_KEY_PREFIX = re.compile(r"^signkey-\w+-")
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LONGEST_NUMBER = 7


def new_id() -> str:
    """Return a ULID."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(125, -1, -5))


def sign(signing_key: str, body: bytes, at: int) -> str:
    """Return the signature of a call at a time, in seconds since 1970."""
    key = _KEY_PREFIX.sub("", signing_key).encode()
    return f"t={at}&s={hmac.new(key, body + str(at).encode(), sha256).hexdigest()}"


def is_signed_in(authorization: str | None, signing_key: str) -> bool:
    """Return whether a header shows a signing key, as it is or hashed."""
    bare = _KEY_PREFIX.sub("", signing_key)
    shown = _KEY_PREFIX.sub("", (authorization or "").removeprefix("Bearer "))
    known = (bare, sha256(bytes.fromhex(bare)).hexdigest())
    return any(hmac.compare_digest(shown.encode(), each.encode()) for each in known)


def pause_before(attempt: int, retry_after: str | None, scale: float) -> float:
    """Return the seconds until the next call, after the attempt of a number from 0 on.

    Args:
        attempt: The number.
        retry_after: The delay that the answer names; it takes precedence.
        scale: What the pauses of the table are multiplied by.
    """
    asked = _asked(retry_after)
    if asked is not None:
        return min(max(asked, SHORTEST_SECONDS), LONGEST_SECONDS)
    pause = PAUSES[min(attempt, len(PAUSES) - 1)]
    return (pause + random.uniform(0, JITTER_SECONDS)) * scale


def _asked(retry_after: str | None) -> float | None:
    if not retry_after:
        return None
    if len(retry_after) <= _LONGEST_NUMBER and retry_after.isdecimal() and int(retry_after):
        return float(retry_after)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(retry_after)
        except ValueError:
            continue
        return (at - datetime.now(UTC if at.tzinfo else None)).total_seconds()
    return None
