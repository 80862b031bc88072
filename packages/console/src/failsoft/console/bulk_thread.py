"""The turns of bulks, in a thread of the console's process: no worker and no engine is needed."""

import logging
import threading

from failsoft.console.environment import Ledger
from failsoft.job_engine.errors import FailsoftError, LedgerUnavailableError
from failsoft.job_engine.ports.console import BulkState

logger: logging.Logger = logging.getLogger("failsoft.console")

#: The pause between two turns, for the other writers, and while the ledger is away.
PAUSE_SECONDS = 0.01
AWAY_SECONDS = 2.0


class BulkThread:
    """One thread for all bulks of this process; it ends with the last of them.

    Several processes may turn the same bulk: each turn is one transaction, and each moves it on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._thread: threading.Thread | None = None
        self._stops = threading.Event()

    def begin(self, ledger: Ledger, bulk_id: str) -> None:
        """Turn a bulk until it is through; nothing where that is done already."""
        with self._lock:
            if bulk_id in self._waiting or self._stops.is_set():
                return
            self._waiting.append(bulk_id)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(ledger,), name="failsoft-bulks", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Take no further turn, and wait for the one that is taken."""
        self._stops.set()
        if (thread := self._thread) is not None:
            thread.join()

    def _run(self, ledger: Ledger) -> None:
        while (bulk_id := self._next()) is not None:
            pause = PAUSE_SECONDS
            try:
                is_over = ledger.bulk_turn(bulk_id).state is not BulkState.RUNNING
            except LedgerUnavailableError:
                is_over, pause = False, AWAY_SECONDS
            except FailsoftError:
                logger.exception("bulk %s has no further turn here", bulk_id)
                is_over = True
            self._note(bulk_id, is_over=is_over)
            self._stops.wait(pause)

    def _next(self) -> str | None:
        with self._lock:
            if self._waiting and not self._stops.is_set():
                return self._waiting[0]
            self._thread = None
            return None

    def _note(self, bulk_id: str, *, is_over: bool) -> None:
        with self._lock:
            self._waiting.remove(bulk_id)
            if not is_over:
                # Behind the others: a long one keeps no short one waiting.
                self._waiting.append(bulk_id)
