"""Steps that run side by side: what each branch is, and what their ends come to."""

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from failsoft.job_engine.attempt.context_variables import own_copy
from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.records.job import StepRecord
from failsoft.job_engine.steps.runner import StepPolicy
from failsoft.job_engine.values.codec import Result

T_co = TypeVar("T_co", covariant=True)

#: How many branches run at the same time, unless the job says otherwise.
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Branch(Generic[T_co]):
    """A step that is to run beside others; `ctx.branch` makes one.

    Attributes:
        name: The step's name, unique within the job.
        work: What it does.
        result: How its result is kept.
        policy: How it is performed.
    """

    name: str
    work: Callable[[], Any]
    result: Result[Any]
    policy: StepPolicy


@dataclass(slots=True)
class End:
    """What became of a branch: its record, or what it raised."""

    recorded: StepRecord | None = None
    raised: BaseException | None = None


def side_by_side(
    work: Callable[[Branch[Any]], StepRecord], branches: Sequence[Branch[Any]], at_once: int
) -> list[End]:
    """Run branches in threads, each to its end, whatever becomes of the others."""

    def end(branch: Branch[Any], variables: contextvars.Context) -> End:
        try:
            return End(variables.run(work, branch))
        except BaseException as error:  # noqa: BLE001 - raised again when all have ended
            return End(raised=error)

    if not branches:
        return []
    contexts = [own_copy() for _ in branches]
    with ThreadPoolExecutor(min(at_once, len(branches)), "failsoft-branch") as threads:
        return list(threads.map(end, branches, contexts))


def raise_first(ends: Sequence[End]) -> None:
    """Raise what ends the attempt, if a branch met that, else the first error in their order."""
    raised = [end.raised for end in ends if end.raised is not None]
    for error in (*(each for each in raised if isinstance(each, Interrupt)), *raised):
        raise error
