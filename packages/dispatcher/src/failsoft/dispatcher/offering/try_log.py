"""The outcomes of offers, written to the ledger a moment later.

An accepted offer changes no state (rule 3), so it costs the caller no second commit. The event of
the offer is in the first one.
"""

import atexit
import contextlib
import os
import threading

from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.ports.ledger import OfferLedger
from failsoft.job_engine.ports.measures import Series
from failsoft.job_engine.records.job import DispatchTry

#: How long tries are collected before they are written together, in seconds: a dispatch that comes
#: while they are waits for that commit.
DELAY_SECONDS = 0.5
#: So many are written in one commit at most.
AT_ONCE = 500


class TryLog:
    """Collect the outcomes of offers and write them in the background, or at once.

    What the process has counted is written with them.

    Attributes:
        measures: What the process counts.
    """

    def __init__(
        self, ledger: OfferLedger, measures: Measures | None = None, *, background: bool = True
    ) -> None:
        self.measures: Measures = Measures() if measures is None else measures
        self._ledger = ledger
        self._background = background
        self._waiting: list[tuple[str, DispatchTry]] = []
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

        If the ledger is away, the outcomes are lost, and the jobs are not; what was counted is
        written later.
        """
        self._own()
        # So that closing the ledger after this takes no connection from a thread that writes.
        with self._writes, contextlib.suppress(LedgerError):
            with self._lock:
                waiting = self._waiting
                self._waiting = []
            measured = self.measures.take()
            self._ledger.note_tries(waiting[:AT_ONCE], measured)
            self.measures.written(measured)
            for first in range(AT_ONCE, len(waiting), AT_ONCE):
                self._ledger.note_tries(waiting[first : first + AT_ONCE])

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
                more = bool(self._waiting)
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
        self._writing = False
