"""What the tracing of a program raises is logged, and goes no further."""

import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger("failsoft.telemetry")


def guarded(work: Callable[[], T]) -> T | None:
    """Return what `work` returns, None if it raises: samplers and processors are any code."""
    try:
        return work()
    except Exception:  # noqa: BLE001 - see above
        _log.exception("a span could not be begun, ended or sent")
        return None
