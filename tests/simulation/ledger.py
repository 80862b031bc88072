"""The way of one process to the ledger: it may be left, found away, or lose its replies."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tests.simulation.baton import Conductor
from tests.simulation.weather import Weather
from understudy.job_engine.errors import LedgerUnavailableError
from understudy.job_engine.interrupts import Fenced
from understudy.job_engine.ports import Ledger
from understudy.job_engine.records import CancelOutcome, Claim, JobRecord, StepRecord, Ticket
from understudy.job_engine.requests import OfferPlan
from understudy.job_engine.states import JobState

T = TypeVar("T")

FAILS, LOSES_REPLY = 0.01, 0.03


class Outage:
    """Until when the ledger answers nobody."""

    def __init__(self) -> None:
        self.until = 0.0


class DistantLedger:
    """`Ledger` over a network, with a moment before and after every call.

    Attributes:
        wrong: What it saw that must not be.
    """

    def __init__(
        self, ledger: Ledger, conductor: Conductor, weather: Weather, outage: Outage
    ) -> None:
        self.wrong: list[str] = []
        self._ledger = ledger
        self._conductor = conductor
        self._weather = weather
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
            self._weather.notice("a lost reply was repeated: claim")
        return claim

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        return self._ask("begin", lambda: self._begin(claim, name, seq))

    def record(self, claim: Claim, step: StepRecord) -> None:
        key = f"{claim.claim_id}/{step.name}"
        try:
            self._ask("record", lambda: self._ledger.record(claim, step), key)
        except Fenced:
            self._weather.notice("an attempt that was replaced could record nothing")
            raise
        if key in self._unheard:
            self._weather.notice("a lost reply was repeated: record")

    def conclude(self, claim: Claim, conclusion: Any) -> JobState:
        key = f"{claim.claim_id}/end"
        try:
            state = self._ask("conclude", lambda: self._ledger.conclude(claim, conclusion), key)
        except Fenced:
            self._weather.notice("an attempt that was replaced could not end")
            raise
        if key in self._unheard:
            self._weather.notice("a lost reply was repeated: conclude")
        return state

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        moved = self._ask("offer", lambda: self._ledger.offer(seen, plan))
        if moved is None:
            self._weather.notice("two raced for one job, and one lost")
        return moved

    def cancel(self, job_id: str, actor: str) -> CancelOutcome:
        outcome = self._ask("cancel", lambda: self._ledger.cancel(job_id, actor))
        self._weather.notice(f"a cancel was answered: {outcome}")
        return outcome

    def _ask(self, about: str, question: Callable[[], T], key: str = "") -> T:
        self._conductor.moment()
        if self._conductor.clock.steady() < self._outage.until:
            self._weather.notice("the ledger was away")
            raise LedgerUnavailableError
        if self._weather.strikes(FAILS):
            raise LedgerUnavailableError
        answer = question()
        if self._weather.strikes(LOSES_REPLY):
            self._weather.notice(f"a reply was lost: {about}")
            self._unheard.add(key)
            raise LedgerUnavailableError
        self._conductor.moment()
        return answer

    def _begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        found = self._ledger.begin(claim, name, seq)
        job = self._ledger.get(claim.job_id)
        if (job.state, job.epoch) != (JobState.RUNNING, claim.epoch):
            self.wrong.append(f"I5: step {name!r} of {claim} began in {job.state} {job.epoch}")
        if job.cancel_requested:
            self.wrong.append(f"I9: step {name!r} of {claim} began after a cancel request")
        return found
