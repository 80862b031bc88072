"""Timing a call on a busy machine."""

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

#: How long the thread beside the call sleeps at a time, in seconds.
NAP = 0.01


class Stopwatch:
    """The time of a call, less the time for which the machine delayed the process.

    A thread that does nothing but sleep runs beside the call. Whatever it sleeps too long, the
    machine was busy elsewhere, and the call may have waited for the same reason. On a quiet
    machine that is next to nothing.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._began = self._ended = self._overslept = 0.0
        self._sleeper = threading.Thread(target=self._sleep, daemon=True)

    @property
    def elapsed(self) -> timedelta:
        """Return what the call itself took, once it is over."""
        return timedelta(seconds=max(0.0, self._ended - self._began - self._overslept))

    def __enter__(self) -> Self:
        """Start."""
        self._sleeper.start()
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self._ended = time.monotonic()
        self._over.set()
        self._sleeper.join()

    def _sleep(self) -> None:
        while not self._over.is_set():
            fell_asleep = time.monotonic()
            time.sleep(NAP)
            self._overslept += max(0.0, time.monotonic() - fell_asleep - 2 * NAP)
