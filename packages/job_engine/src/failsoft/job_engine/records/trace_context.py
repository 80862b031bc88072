"""The trace that a job belongs to, as the ledger keeps it: W3C Trace Context as JSON.

It is a hint for people who look at traces. What is not as it should be is left out, and changes
nothing of the job.
"""

import json
import re
from collections.abc import Mapping

#: The most bytes that the ledger keeps of a job's trace; a longer one is not kept.
MAX_BYTES = 512
PARENT, STATE, BAGGAGE = "traceparent", "tracestate", "baggage"
#: Of a job that does another trace's work again: that trace, which its own ones link to.
BACK = "back"

# Version 00. A later one may say something else with the same fields.
_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PRINTABLE = re.compile(r"[ -~]*")
_NOTHING: Mapping[str, str] = {}


def kept(carrier: Mapping[str, str]) -> str | None:
    """Return what the ledger keeps of a trace.

    Args:
        carrier: `traceparent`, and perhaps `tracestate` and `baggage`, as HTTP headers have them.

    Returns:
        JSON of `MAX_BYTES` at most; None if there is no trace, or if it is not as W3C Trace
        Context has it, or too long. Baggage that makes it too long is left out alone.
    """
    if not _is_fit(carrier, PARENT):
        return None
    trace = {name: carrier[name] for name in (PARENT, STATE) if carrier.get(name)}
    baggage = carrier.get(BAGGAGE)
    if baggage:
        text = _text({**trace, BAGGAGE: baggage})
        if text is not None:
            return text
    return _text(trace)


def carrier_of(text: str | None) -> Mapping[str, str]:
    """Read what the ledger keeps, as the carrier of `kept`; empty where it is not as it should be.

    A job that does a trace's work again has `BACK` in the place of `PARENT`.
    """
    if text is None or len(text) > MAX_BYTES:
        return _NOTHING
    try:
        found = json.loads(text)
    except ValueError:
        return _NOTHING
    if not isinstance(found, dict) or not all(map(_is_printable, found.values())):
        return _NOTHING
    return found if _is_fit(found, PARENT) or _is_fit(found, BACK) else _NOTHING


def back_to(text: str | None) -> str | None:
    """Return what a job keeps that does the work again of one that keeps this: a way back."""
    carrier = carrier_of(text)
    parent = carrier.get(PARENT) or carrier.get(BACK)
    return None if parent is None else json.dumps({BACK: parent})


def _is_fit(carrier: Mapping[str, str], name: str) -> bool:
    value = carrier.get(name)
    return isinstance(value, str) and _PARENT.fullmatch(value) is not None


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and _PRINTABLE.fullmatch(value) is not None


def _text(carrier: Mapping[str, str]) -> str | None:
    text = json.dumps(carrier)
    fits = len(text) <= MAX_BYTES and all(map(_is_printable, carrier.values()))
    return text if fits else None
