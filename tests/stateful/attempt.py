"""A worker's attempt, as far as the ledger sees it."""

from dataclasses import dataclass, replace
from datetime import timedelta

from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord, Ticket
from failsoft.job_engine.records.states import SUSPEND, Transition
from failsoft.testing.ledger_suite.fixtures import CONCLUSIONS

#: How an attempt may end, by the name of the transition.
ENDINGS = {conclusion.transition.name: conclusion for conclusion in CONCLUSIONS}


@dataclass
class Attempt:
    """What a worker knows that has claimed a job.

    Attributes:
        place: How many steps it has met.
        begun: Whether it was allowed to run the step of that place.
    """

    ticket: Ticket
    claim: Claim
    place: int = 0
    begun: bool = False

    @property
    def step(self) -> StepRecord:
        """Return the step of its place, finished."""
        result = f'"{self.claim.claim_id}"'
        return StepRecord(f"step-{self.place}", self.place, StepKind.RUN, result)

    def go_on(self) -> None:
        """Leave the step of its place behind."""
        self.place += 1
        self.begun = False

    def conclusion(self, name: str, delay: timedelta) -> Conclusion:
        """Return the end of that name; a sleep is recorded only where one was begun."""
        ending = ENDINGS[name]
        step = replace(self.step, kind=StepKind.SLEEP) if self.begun and _sleeps(ending) else None
        return replace(ending, step=step, delay=delay)


def _sleeps(ending: Conclusion) -> bool:
    transition: Transition = ending.transition
    return transition is SUSPEND
