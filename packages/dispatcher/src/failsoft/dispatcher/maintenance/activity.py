"""What a process lets the ledger know besides jobs: its open breakers, and figures of a minute."""

import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.job_engine.clock import Clock

#: How often an open breaker is noted again, so that it is seen to be fresh, in seconds.
AGAIN_SECONDS = 10.0
#: How often it is asked whether the figures of this minute are kept, in seconds.
SAMPLE_SECONDS = 20.0


class ActivityLedger(Protocol):
    """The ledger as this needs it; see `failsoft.job_engine.ports.console`."""

    def note_breakers(self, boot_id: str, open_: Mapping[str, tuple[timedelta, str]]) -> None:
        """Keep which breakers of a process are open."""
        ...

    def take_sample(self) -> bool:
        """Keep the figures of this minute, once."""
        ...

    def note_unserved(self) -> Sequence[str]:
        """Record a notice for each queue in which a job waits and that no live worker serves."""
        ...


class ActivityNotes:
    """Notes breakers when they open and close, and samples once a minute.

    Maintenance calls `tick`; a process that dispatches calls `note_breakers` while any is open.
    """

    def __init__(self, ledger: ActivityLedger, engines: EngineSet, clock: Clock) -> None:
        self._ledger = ledger
        self._engines = engines
        self._clock = clock
        self._sampled_at = float("-inf")
        self._reset()

    def tick(self) -> None:
        """Look once.

        Raises:
            LedgerError: The ledger could not be written; look again later.
        """
        self.note_breakers()
        if self._clock.steady() - self._sampled_at >= SAMPLE_SECONDS:
            if self._ledger.take_sample():
                self._ledger.note_unserved()
            self._sampled_at = self._clock.steady()

    def note_breakers(self) -> None:
        """Note which breakers of this process are open, if that has changed or was long ago.

        Raises:
            LedgerError: The ledger could not be written; note them again later.
        """
        if self._pid != os.getpid():
            # What a parent noted is the parent's.
            self._reset()
        with self._noting:
            self._note()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._noting = threading.Lock()
        self._process = secrets.token_hex(8)
        self._open: frozenset[str] = frozenset()
        self._noted_at = float("-inf")

    def _note(self) -> None:
        breakers = {engine: self._engines.breaker(engine) for engine in self._engines}
        found = {
            engine: (breaker.open_for, breaker.reason)
            for engine, breaker in breakers.items()
            if breaker.is_open
        }
        now, before = frozenset(found), self._open
        is_old = self._clock.steady() - self._noted_at >= AGAIN_SECONDS
        if now == before and not (now and is_old):
            return
        self._ledger.note_breakers(self._process, found)
        self._open, self._noted_at = now, self._clock.steady()
