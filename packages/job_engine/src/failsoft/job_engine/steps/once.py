"""What is known of a `once` step whose process died before its result was recorded."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar, TypeVarTuple

from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.errors import StepInDoubtError

T = TypeVar("T")
Args = TypeVarTuple("Args")


class NotDone(Enum):
    """What a `verify` function returns when the step has not taken effect."""

    NOT_DONE = "not done"


NOT_DONE = NotDone.NOT_DONE

#: Finds out whether a step took effect: what it returned then, or `NOT_DONE`.
Verify = Callable[[*Args], T | NotDone]


def interrupted_in_doubt(name: str) -> HoldRequested:
    """Return what holds a job whose `once` step was begun by an attempt that is over."""
    return HoldRequested(
        StepInDoubtError(
            f"step {name!r} was begun by an attempt that ended before its result was recorded, so "
            "it may have taken effect; find out, then resolve the job, or give the step a `verify`"
        )
    )


def error_in_doubt(name: str, error: BaseException) -> HoldRequested:
    """Return what holds a job whose `once` step raised."""
    doubt = StepInDoubtError(
        f"step {name!r} raised {type(error).__name__} and may have taken effect before; find out, "
        "then resolve the job, or give the step a `verify`"
    )
    doubt.__cause__ = error
    return HoldRequested(doubt)
