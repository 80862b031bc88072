"""Waiting for a condition, for a limited time."""

import time
from collections.abc import Callable
from datetime import timedelta

#: The pause between two looks, in seconds.
PAUSE_SECONDS = 0.005


def wait_for(condition: Callable[[], object], within: timedelta) -> bool:
    """Look until the condition holds or the time is up; return whether it held."""
    deadline = time.monotonic() + within.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True
