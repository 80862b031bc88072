"""How far a job has come, recorded without a commit for each call."""

import logging
import threading
from datetime import datetime

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import LedgerUnavailableError, StepError
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim, Progress
from failsoft.job_engine.validation import Expect

#: How often progress is written at most, in seconds.
WRITE_EVERY = 1.0
#: The longest note, and the highest number.
MAX_NOTE_CHARS = 255
MOST = 2**63 - 1

_EXPECT = Expect(StepError, "progress: ")

logger: logging.Logger = logging.getLogger("failsoft.job")


class ProgressNote:
    """The progress of one attempt: the newest one is kept, and written now and then.

    It is written with the fence (rule 7), which renews the lease besides. A ledger that is away
    is not waited for: the newest one is written when it is back.
    """

    def __init__(self, claim: Claim, ledger: AttemptLedger, clock: Clock) -> None:
        self._claim = claim
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._unwritten: Progress | None = None
        self._written_at: float | None = None

    def note(self, progress: Progress) -> None:
        """Keep the newest progress, and write it if the last one was written long enough ago.

        Raises:
            Fenced: If another attempt has the authority.
        """
        if self.keep(progress):
            self.write()

    def keep(self, progress: Progress) -> bool:
        """Keep the newest progress; return whether it is time to write."""
        self._unwritten = progress
        return self._is_due()

    def write_if_due(self) -> None:
        """Write what is not written, unless something was a moment ago."""
        if self._unwritten is not None and self._is_due():
            self.write()

    def _is_due(self) -> bool:
        last = self._written_at
        return last is None or self._clock.steady() - last >= WRITE_EVERY

    def write(self) -> None:
        """Write what is not written."""
        with self._lock:
            progress, self._unwritten = self._unwritten, None
            if progress is None:
                return
            self._written_at = self._clock.steady()
            try:
                self._ledger.note_progress(self._claim, progress)
            except LedgerUnavailableError:
                self._unwritten = progress
            except Exception:
                # No progress is worth the attempt; each newer one is tried.
                logger.exception("the ledger refused the progress of job %s", self._claim.job_id)


def progress_of(done: int, total: int | None, note: str, at: datetime) -> Progress:
    """Make a job's progress.

    Raises:
        StepError: If it makes no sense.
    """
    if total is not None:
        _EXPECT.whole("a total", total, least=0, most=MOST)
    _EXPECT.whole("what is done", done, least=0, most=MOST if total is None else total)
    _EXPECT.text("a note", note, least=0, most=MAX_NOTE_CHARS, lines=True)
    return Progress(done, total, note, at)
