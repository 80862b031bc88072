"""The claims whose end the ledger has not recorded yet, though their attempts are over."""

import logging
import threading
from dataclasses import dataclass, replace
from datetime import timedelta

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.executor import attempt_event, concluded_event
from failsoft.job_engine.ports.ledger import ReturnLedger
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.job_engine.telemetry import Listener, ignore
from failsoft.worker.processes.loop_thread import LoopThread

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: How often their ends are sent to the ledger while there are any.
SEND_EVERY = timedelta(milliseconds=200)
#: The pauses after the ledger refused one, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class _Owed:
    claim: Claim
    conclusion: Conclusion
    lease: Lease | None
    not_before: float = 0.0
    pause: float = FIRST_PAUSE

    @property
    def is_settled_elsewhere(self) -> bool:
        """Whether the attempt's own thread returned and records its end itself."""
        return self.lease is not None and self.lease.has_ended


class ClaimReturns:
    """Give claims back as soon as the ledger answers, unless they were taken meanwhile.

    A claim whose lease could not be renewed is void for the job's code, but the job is not
    charged for it while its owner lives: a rescuer first watches for a whole lease (R18), and the
    owner gives it back sooner. Each write is fenced by the claim, so it cannot change a newer
    attempt (rule 7).
    """

    def __init__(self, ledger: ReturnLedger, clock: Clock, listener: Listener = ignore) -> None:
        self._ledger = ledger
        self._clock = clock
        self._listener = listener
        self._lock = threading.Lock()
        self._owed: dict[str, _Owed] = {}
        self._sender = LoopThread("return", self._pause, self.settle)

    def start(self) -> None:
        """Begin to send."""
        self._sender.start()

    def stop(self) -> None:
        """Send no more."""
        self._sender.stop()

    def owe(self, claim: Claim, conclusion: Conclusion, lease: Lease | None = None) -> None:
        """Take over the end of an attempt; the first one given for a claim counts.

        Args:
            claim: The attempt's authority.
            conclusion: How it ended.
            lease: The attempt's, if its own thread may still return to record an end.
        """
        with self._lock:
            self._owed.setdefault(claim.claim_id, _Owed(claim, conclusion, lease))
        self._sender.wake_within(SEND_EVERY.total_seconds())

    @property
    def count(self) -> int:
        """Return how many ends the ledger has not recorded yet."""
        return len(self._owed)

    def wait_until_settled(self, timeout: timedelta) -> bool:
        """Wait until nothing is owed, for at most the timeout; return whether nothing is."""
        ends_at = self._clock.steady() + timeout.total_seconds()
        while self._owed and self._clock.steady() < ends_at:
            self._sender.wake()
            self._clock.sleep(SEND_EVERY.total_seconds())
        return not self._owed

    def _pause(self) -> float | None:
        return SEND_EVERY.total_seconds() if self._owed else None

    def settle(self) -> None:
        """Send the ledger each end that is due.

        Raises:
            LedgerUnavailableError: It is away; what is owed stays owed.
        """
        now = self._clock.steady()
        for owed in list(self._owed.values()):
            if owed.is_settled_elsewhere:
                self._forget(owed)
            elif now >= owed.not_before:
                self._settle(owed)

    def _settle(self, owed: _Owed) -> None:
        try:
            self._return(owed)
        except LedgerUnavailableError:
            raise
        except Exception:
            logger.exception("the ledger refuses to take job %s back", owed.claim.job_id)
            self._try_later(owed)
        else:
            self._forget(owed)

    def _return(self, owed: _Owed) -> None:
        claim = owed.claim
        try:
            state = self._ledger.conclude(claim, owed.conclusion)
        except Fenced:
            # A rescuer took the silence for a crash: the owner lives, and takes the charge back.
            if self._ledger.uncharge(claim):
                self._listener(attempt_event("job.uncharge", claim))
            return
        self._listener(concluded_event(claim, owed.conclusion, state))

    def _try_later(self, owed: _Owed) -> None:
        pause = min(owed.pause * 2, LONGEST_PAUSE)
        later = replace(owed, not_before=self._clock.steady() + owed.pause, pause=pause)
        with self._lock:
            self._owed[owed.claim.claim_id] = later

    def _forget(self, owed: _Owed) -> None:
        with self._lock:
            self._owed.pop(owed.claim.claim_id, None)
