"""What a job is to do: a script of steps and waits, the payload of every job but the hooks."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel

from failsoft.job_engine import GroupResult, JobFailure
from failsoft.job_engine.records.groups import When


class Does(StrEnum):
    """What a piece of a script is."""

    RUN = "run"
    ONCE = "once"
    TX = "tx"
    BESIDE = "beside"
    SLEEP = "sleep"
    WAIT = "wait"
    INVOKE = "invoke"


@dataclass(frozen=True, slots=True)
class Action:
    """One piece of a script: what it is, and the numbers of its steps."""

    does: Does
    numbers: tuple[int, ...] = ()


class Script(BaseModel):
    """What a job does.

    Attributes:
        label: The request; no two requests share one, but for those of one key.
        paces: How many seconds each step takes; there are as many steps.
        sleep_after: The step after which the job sleeps; 0: none.
        fails_at: The step that raises; 0: none.
        failures: In how many attempts it raises.
        once_at: The step that is to begin at most once, ever; 0: none.
        verified: Whether such a step finds out what happened where it is in doubt.
        tx_at: The step that writes a row in its own transaction; 0: none.
        beside: The first and the last of the steps that run side by side; zeros: none do.
        waits_after: The step after which it waits for two events; 0: none.
        by_key: Whether these are sent to a key, its label, and not to the job.
        invokes_after: The step after which it invokes its child; 0: none.
        child: What that one does.
        delay: How many seconds it is to wait first.
        expires_in: Within how many seconds it is to begin; 0: whenever.
        priority: Its priority.
        customer: For whom it is, where definitions distinguish jobs by that.
        flow: The chain or group it belongs to, `place` and `size` where in it.
        before: The result of the job before it in its chain.
        group: How the jobs of its group ended, if it is the one that completes it.
        when: Which ends of theirs let it start.
    """

    label: str = ""
    paces: list[float] = [0.0]
    sleep_after: int = 0
    fails_at: int = 0
    failures: int = 0
    once_at: int = 0
    verified: bool = False
    tx_at: int = 0
    beside: tuple[int, int] = (0, 0)
    waits_after: int = 0
    by_key: bool = False
    invokes_after: int = 0
    child: "Script | None" = None
    delay: float = 0.0
    expires_in: float = 0.0
    priority: int = 0
    customer: str = ""
    flow: str = ""
    place: int = 0
    size: int = 0
    before: int | None = None
    group: GroupResult | None = None
    when: When = "all_ended"

    @property
    def step_names(self) -> list[str]:
        """Return the steps in their order, sleeps and waits left out."""
        return [step_name(number) for number in range(1, len(self.paces) + 1)]

    @property
    def in_doubt(self) -> str | None:
        """Return the step that may not begin twice and cannot be verified."""
        return step_name(self.once_at) if self.once_at and not self.verified else None

    @property
    def in_transaction(self) -> str | None:
        """Return the step whose work is a row in the ledger's database."""
        return step_name(self.tx_at) if self.tx_at else None

    def turn_of(self, step: str) -> str:
        """Return the first of the steps that begin together with this one."""
        first, last = self.beside
        begins_with_others = step in {step_name(number) for number in range(first, last + 1)}
        return step_name(first) if begins_with_others else step

    def actions(self) -> Iterator[Action]:
        """Return everything it does, in its order."""
        first, last = self.beside
        for number in range(1, len(self.paces) + 1):
            if not first < number <= last:
                yield self._step(number)
            if number == self.sleep_after:
                yield Action(Does.SLEEP)
            if number == self.waits_after:
                yield Action(Does.WAIT)
            if number == self.invokes_after:
                yield Action(Does.INVOKE)

    def _step(self, number: int) -> Action:
        first, last = self.beside
        if number == first:
            return Action(Does.BESIDE, tuple(range(first, last + 1)))
        if number == self.once_at:
            return Action(Does.ONCE, (number,))
        return Action(Does.TX if number == self.tx_at else Does.RUN, (number,))


def step_name(number: int) -> str:
    """Return the name of a step."""
    return f"step-{number}"


def script_of_hook(failure: JobFailure) -> Script:
    """Return what the job does that a failure set off."""
    return Script(label=f"failure of {failure.job_id}")
