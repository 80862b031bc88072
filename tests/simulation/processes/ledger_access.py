"""The way of one process to the ledger: it may be left, found away, or lose its replies."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import CancelOutcome, Claim, JobRecord, StepRecord, Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.simulation.fault_rates import FaultRates
from tests.simulation.scheduler import TaskScheduler

T = TypeVar("T")

FAILS, LOSES_REPLY = 0.01, 0.03


#: What only reads, and is answered by a ledger that takes no writes.
READS = frozenset(
    {
        *("due", "unclaimed", "expired", "running", "clock", "live_workers", "pauses", "schedules"),
        *("get", "list_jobs", "steps", "attempts", "tries", "events", "limit_uses", "counts"),
        *("signing_keys", "begin", "dead_letters", "again", "disabled_engines"),
        *("routes", "deliveries", "engine_load", "oldest_offers", "begun_lately", "movable"),
    }
)
#: How long a call waits for a ledger that is silent, in seconds: longer than a lease.
BOUND = 10.0


class Outage:
    """Until when the ledger answers no call, takes no writes, or lets calls wait."""

    def __init__(self) -> None:
        self.until = self.read_only_until = self.silent_until = 0.0

    def end(self) -> None:
        """Let it answer again."""
        self.until = self.read_only_until = self.silent_until = 0.0


class DistantLedger:
    """`Ledger` over a network, with a moment before and after every call.

    Attributes:
        wrong: What it saw that must not be.
        is_split: Whether the file that this process writes to is no longer that of the others.
    """

    def __init__(
        self, ledger: Ledger, scheduler: TaskScheduler, faults: FaultRates, outage: Outage
    ) -> None:
        self.wrong: list[str] = []
        self.is_split = False
        self._ledger = ledger
        self._scheduler = scheduler
        self._faults = faults
        self._outage = outage
        self._unheard: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._ledger, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._ask(name, lambda: method(*args, **kwargs))

        return call

    def claim(self, ticket: Ticket) -> Claim | None:
        claim = self._ask("claim", lambda: self._ledger.claim(ticket), ticket.claim_id)
        shown = ticket.epoch, ticket.engine
        if claim is not None and (claim.epoch, claim.engine) != shown:
            self.wrong.append(f"I8: {ticket} became {claim}")
        if claim is not None and ticket.claim_id in self._unheard:
            self._faults.notice("a lost reply was repeated: claim")
        return claim

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        return self._ask("begin", lambda: self._begin(claim, name, seq))

    def record(self, claim: Claim, step: StepRecord) -> None:
        key = f"{claim.claim_id}/{step.name}"
        try:
            self._ask("record", lambda: self._ledger.record(claim, step), key)
        except Fenced:
            self._faults.notice("an attempt that was replaced could record nothing")
            raise
        if key in self._unheard:
            self._faults.notice("a lost reply was repeated: record")

    def conclude(self, claim: Claim, conclusion: Any) -> JobState:
        key = f"{claim.claim_id}/end"
        try:
            state = self._ask("conclude", lambda: self._ledger.conclude(claim, conclusion), key)
        except Fenced:
            self._faults.notice("an attempt that was replaced could not end")
            raise
        if key in self._unheard:
            self._faults.notice("a lost reply was repeated: conclude")
        return state

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        moved = self._ask("offer", lambda: self._ledger.offer(seen, plan))
        if moved is None:
            self._faults.notice("two raced for one job, and one lost")
        return moved

    def cancel(self, job_id: str, actor: str) -> CancelOutcome:
        outcome = self._ask("cancel", lambda: self._ledger.cancel(job_id, actor))
        self._faults.notice(f"a cancel was answered: {outcome}")
        return outcome

    def _ask(self, about: str, question: Callable[[], T], key: str = "") -> T:
        self._scheduler.moment()
        if self._scheduler.clock.steady() < self._outage.until:
            self._faults.notice("the ledger was away")
            raise LedgerUnavailableError
        self._be_in_trouble(about, question)
        if self._faults.strikes(FAILS):
            raise LedgerUnavailableError
        answer = question()
        if self._faults.strikes(LOSES_REPLY):
            self._faults.notice(f"a reply was lost: {about}")
            self._unheard.add(key)
            raise LedgerUnavailableError
        self._scheduler.moment()
        return answer

    def _be_in_trouble(self, about: str, question: Callable[[], object]) -> None:
        now = self._scheduler.clock.steady()
        if self.is_split:
            # It gets the error once, and opens the file that is there now.
            self.is_split = False
            self._faults.notice("a process was cut off from the others' ledger")
            raise LedgerUnavailableError
        if now < self._outage.read_only_until and about not in READS:
            self._faults.notice("the ledger took no writes")
            raise LedgerUnavailableError
        if now < self._outage.silent_until:
            self._wait_in_vain(question, min(BOUND, self._outage.silent_until - now))

    def _wait_in_vain(self, question: Callable[[], object], seconds: float) -> None:
        """Send a call into silence: it may be done, at once or when the silence is over."""
        self._faults.notice("the ledger was silent")
        when = self._faults.rng.choice(("never", "at once", "at the end"))
        if when == "at once":
            with suppress(Exception):
                question()
        self._scheduler.sleep(seconds)
        if when == "at the end":
            with suppress(Exception):
                question()
        raise LedgerUnavailableError

    def _begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        found = self._ledger.begin(claim, name, seq)
        job = self._ledger.get(claim.job_id)
        if (job.state, job.epoch) != (JobState.RUNNING, claim.epoch):
            self.wrong.append(f"I5: step {name!r} of {claim} began in {job.state} {job.epoch}")
        if job.cancel_requested:
            self.wrong.append(f"I9: step {name!r} of {claim} began after a cancel request")
        return found
