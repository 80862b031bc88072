"""How long the engine suite waits for what must happen."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

#: Long enough for a worker that connects again on a busy machine; only what never happens costs it.
PATIENCE = timedelta(seconds=60)

_limits = [PATIENCE]


def patience() -> timedelta:
    """Return how long anything may take that must happen: an offer on its way, a worker's end."""
    return _limits[-1]


@contextmanager
def within(limit: timedelta) -> Iterator[None]:
    """Let anything take so long at most, in every thread, until the block ends."""
    _limits.append(limit)
    try:
        yield
    finally:
        _limits.pop()
