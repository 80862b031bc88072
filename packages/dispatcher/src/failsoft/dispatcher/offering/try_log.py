"""The outcomes of offers, and failovers, written to the ledger a moment later.

An accepted offer changes no state (rule 3), so it costs the caller no second commit. The event of
the offer is in the first one.
"""

import atexit
import contextlib
import os
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from failsoft.job_engine.errors import LedgerError, LedgerUnavailableError
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.ports.ledger import OfferLedger
from failsoft.job_engine.ports.measures import Series
from failsoft.job_engine.records.job import DispatchTry
from failsoft.job_engine.telemetry import Event, Listener

#: How long tries are collected before they are written together, in seconds: a dispatch that comes
#: while they are waits for that commit.
DELAY_SECONDS = 0.5
#: So many are written in one commit at most.
AT_ONCE = 500


#: The events of an engine that offers leave or come back to, each with its direction.
DIRECTIONS = {"engine.failed_over": "over", "engine.failed_back": "back"}


class TryLedger(OfferLedger, Protocol):
    """What this needs of the ledger."""

    def note_switch(self, engine: str, direction: str, detail: Mapping[str, Any]) -> bool:
        """Record a notice that jobs left an engine, or that it has them again."""
        ...


class TryLog:
    """Collect the outcomes of offers and write them in the background, or at once.

    What the process has counted is written with them.

    Attributes:
        measures: What the process counts.
    """

    def __init__(
        self, ledger: TryLedger, measures: Measures | None = None, *, background: bool = True
    ) -> None:
        self.measures: Measures = Measures() if measures is None else measures
        self._ledger = ledger
        self._background = background
        self._waiting: list[tuple[str, DispatchTry]] = []
        self._switches: list[tuple[str, str, Mapping[str, Any]]] = []
        self._writing = False
        self._reset()
        if background:
            atexit.register(self.flush)

    def add(self, job_id: str, attempt: DispatchTry) -> None:
        """Note the outcome of one offer."""
        self._count(attempt)
        self._own()
        with self._lock:
            self._waiting.append((job_id, attempt))
        self.wake()

    def listening(self, listener: Listener) -> Listener:
        """Return a listener that has failovers recorded as notices, in whichever process."""

        def listen(event: Event) -> None:
            listener(event)
            direction = DIRECTIONS.get(event.kind)
            if direction is not None and event.engine is not None:
                self._own()
                with self._lock:
                    self._switches.append((event.engine, direction, dict(event.detail)))
                self.wake()

        return listen

    def wake(self) -> None:
        """Write soon what is collected, and what the process has counted."""
        self._own()
        with self._lock:
            start = self._background and not self._writing
            self._writing = self._writing or start
        if start:
            threading.Thread(target=self._write, name="failsoft-tries", daemon=True).start()
        elif not self._background:
            self.flush()

    def flush(self) -> None:
        """Write what was collected, and wait for what is being written.

        If the ledger is away, the outcomes are lost, and the jobs are not; what was counted, and
        failovers, are written later.
        """
        self._own()
        # So that closing the ledger after this takes no connection from a thread that writes.
        with self._writes:
            with contextlib.suppress(LedgerError):
                self._write_tries()
            self._note_switches()

    def _write_tries(self) -> None:
        with self._lock:
            waiting = self._waiting
            self._waiting = []
        measured = self.measures.take()
        self._ledger.note_tries(waiting[:AT_ONCE], measured)
        self.measures.written(measured)
        for first in range(AT_ONCE, len(waiting), AT_ONCE):
            self._ledger.note_tries(waiting[first : first + AT_ONCE])

    def _note_switches(self) -> None:
        # The oldest first. One that the ledger refuses is dropped, as an outcome of an offer is.
        while self._switches:
            try:
                self._ledger.note_switch(*self._switches[0])
            except LedgerUnavailableError:
                return
            except LedgerError:
                pass
            with self._lock:
                del self._switches[:1]

    def _count(self, attempt: DispatchTry) -> None:
        stage, outcome, engine = attempt.stage, attempt.outcome, attempt.engine
        self.measures.count(Series("tries", engine=engine, labels=f"{stage}/{outcome}"))
        if stage == "offer":
            self.measures.observe(Series("offer", engine=engine, labels=outcome), attempt.elapsed)

    def _write(self) -> None:
        more = True
        while more:
            self._pause.wait(DELAY_SECONDS)
            self.flush()
            with self._lock:
                more = bool(self._waiting or self._switches)
                self._writing = more

    def _own(self) -> None:
        if self._pid != os.getpid():
            self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writes = threading.Lock()
        self._pause = threading.Event()
        self._waiting = []
        self._switches = []
        self._writing = False
