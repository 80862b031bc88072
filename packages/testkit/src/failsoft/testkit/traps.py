"""What befalls attempts when they come to a step, in whichever ledger the steps are recorded."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord

Moment = Literal["before", "during", "after"]
Deed = Literal["die", "cancel", "lose"]


@dataclass(frozen=True, slots=True)
class Trap:
    """What befalls the next attempt that comes to a step.

    Attributes:
        step: The step's name; None for the first one.
        job_id: The job; None for any.
        moment: Before its body, when its body has returned, or when it is recorded.
    """

    deed: Deed
    moment: Moment
    step: str | None
    job_id: str | None = None


class Traps:
    """Springs each trap once, where the calls of an attempt reach the ledger.

    Attributes:
        waiting: Those that have not sprung.
        bodies: The steps of each job whose bodies returned: pairs of epoch and name.
        begun: The step that an attempt began last, by its claim.
    """

    def __init__(self, carry_out: Callable[[Trap, Claim, str], object]) -> None:
        """Spring nothing yet.

        Args:
            carry_out: Called with a trap, the attempt and the step.
        """
        self.waiting: list[Trap] = []
        self.bodies: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self.begun: dict[str, str] = {}
        self._carry_out = carry_out

    def beginning(self, claim: Claim, name: str, found: Sequence[StepRecord]) -> None:
        """Be called when the ledger has confirmed a step, with what is recorded of it."""
        if not any(step.kind is not StepKind.INTENT for step in found):
            self.begun[claim.claim_id] = name
            self._spring("before", claim, name)

    def finishing(self, claim: Claim, step: StepRecord) -> None:
        """Be called before a step is recorded."""
        if step.kind is not StepKind.INTENT:
            # A record that is repeated after a lost reply is of the same body.
            done = (claim.epoch, step.name)
            if done not in self.bodies[claim.job_id]:
                self.bodies[claim.job_id].append(done)
            self._spring("during", claim, step.name)

    def finished(self, claim: Claim, step: StepRecord) -> None:
        """Be called when a step has been recorded."""
        if step.kind is not StepKind.INTENT:
            self._spring("after", claim, step.name)

    def concluding(self, claim: Claim, conclusion: Conclusion) -> None:
        """Be called before an attempt ends; with a sleep it ends in that step."""
        if conclusion.step is not None:
            self._spring("during", claim, conclusion.step.name)

    def concluded(self, claim: Claim, conclusion: Conclusion) -> None:
        """Be called when an attempt has ended."""
        if conclusion.step is not None:
            self._spring("after", claim, conclusion.step.name)

    def _spring(self, moment: Moment, claim: Claim, step: str) -> None:
        for trap in list(self.waiting):
            if (trap.moment, trap.step or step, trap.job_id or claim.job_id) == (
                *(moment, step, claim.job_id),
            ):
                self.waiting.remove(trap)
                self._carry_out(trap, claim, step)
