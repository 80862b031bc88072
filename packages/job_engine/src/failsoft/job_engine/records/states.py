"""The states of a job, and the one table of the transitions between them.

The SQL ledger, the memory ledger, the model checker and the diagram in the docs are all
made from `TRANSITIONS`; nothing else may change a job's state (rule 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol


class JobState(StrEnum):
    """Where a job is. `succeeded`, `failed` and `cancelled` are terminal (I4)."""

    SCHEDULED = "scheduled"
    OFFERED = "offered"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    HELD = "held"

    @property
    def is_terminal(self) -> bool:
        """Return whether the job has ended."""
        return self in TERMINAL


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
#: The event of a crash that is taken back: the owner of the lost lease lives (R18).
UNCHARGE = "uncharge"


class Fence(Enum):
    """What a transition compares before it sets, besides the state (rule 4).

    The value names the columns.
    """

    # No tuples: early releases of Python 3.11 lose an empty one.
    STATE = frozenset[str]()
    EPOCH = frozenset({"epoch", "engine", "queue"})
    CLAIM = frozenset({"epoch", "claim_id"})
    SEEN = frozenset({"epoch", "revision"})


class Budget(StrEnum):
    """A counter of its own for each thing that may go wrong (rule 18)."""

    ERRORS = "errors"
    CRASHES = "crashes"
    CLAIMS = "claims"
    RELEASES = "releases"


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed change of state: a single compare-and-set.

    Attributes:
        name: The name of the transition and of the event it appends (rule 22).
        sources: The states it may start from.
        target: The state it ends in.
        fence: What must still be as it was seen.
        new_epoch: Whether every message sent before becomes void (rule 5).
        charges: The counter it adds one to.
        meaning: One sentence for the docs.
    """

    name: str
    sources: frozenset[JobState]
    target: JobState
    fence: Fence
    meaning: str
    new_epoch: bool = False
    charges: Budget | None = None

    @property
    def ends_attempt(self) -> bool:
        """Return whether a running attempt is over after it."""
        return JobState.RUNNING in self.sources


class Row(Protocol):
    """What a guard needs of a job, wherever it is kept."""

    @property
    def state(self) -> JobState:
        """Return the state the job is in."""
        ...


def permits(transition: Transition, row: Row, guard: Mapping[str, object]) -> bool:
    """Decide the compare-and-set of a transition on a row; what the SQL decides in its WHERE.

    Args:
        transition: The transition requested.
        row: The job as it is.
        guard: The fence's columns as they were seen; `state` besides, for `Fence.SEEN`.
    """
    if row.state not in transition.sources or row.state != guard.get("state", row.state):
        return False
    return all(getattr(row, column) == guard[column] for column in transition.fence.value)


def _from(*states: JobState) -> frozenset[JobState]:
    return frozenset(states)


_SCHEDULED = _from(JobState.SCHEDULED)
_OFFERED = _from(JobState.OFFERED)
_RUNNING = _from(JobState.RUNNING)
_WAITING = _SCHEDULED | _OFFERED

OFFER = Transition(
    "offer",
    _SCHEDULED,
    JobState.OFFERED,
    Fence.SEEN,
    "its time has come: hand it to an engine",
    new_epoch=True,
)
REOFFER = Transition(
    "reoffer",
    _OFFERED,
    JobState.OFFERED,
    Fence.SEEN,
    "the engine did not take it, or no worker picked it up: hand it to an engine again",
    new_epoch=True,
)
PARK = Transition(
    "park",
    _OFFERED,
    JobState.SCHEDULED,
    Fence.SEEN,
    "no engine took it: try again later",
)
CLAIM = Transition(
    "claim",
    _OFFERED,
    JobState.RUNNING,
    Fence.EPOCH,
    "an attempt takes the job; the only proof of pickup",
    charges=Budget.CLAIMS,
)
DEFER = Transition(
    "defer",
    _OFFERED,
    JobState.SCHEDULED,
    Fence.EPOCH,
    "a limit leaves no room for it: it waits for its turn",
)
RECOVER = Transition(
    "recover",
    _RUNNING,
    JobState.OFFERED,
    Fence.SEEN,
    "the lease was lost: hand the job over",
    new_epoch=True,
    charges=Budget.CRASHES,
)
EXHAUST = Transition(
    "exhaust",
    _RUNNING,
    JobState.FAILED,
    Fence.SEEN,
    "the lease was lost once too often: crash loop",
    charges=Budget.CRASHES,
)
SUCCEED = Transition(
    "succeed",
    _RUNNING,
    JobState.SUCCEEDED,
    Fence.CLAIM,
    "the handler returned",
)
RETRY = Transition(
    "retry",
    _RUNNING,
    JobState.SCHEDULED,
    Fence.CLAIM,
    "the handler raised and attempts are left",
    charges=Budget.ERRORS,
)
FAIL = Transition(
    "fail",
    _RUNNING,
    JobState.FAILED,
    Fence.CLAIM,
    "the handler raised and no attempt is left, or none is wanted",
    charges=Budget.ERRORS,
)
CRASH = Transition(
    "crash",
    _RUNNING,
    JobState.SCHEDULED,
    Fence.CLAIM,
    "the worker saw the attempt's process die",
    charges=Budget.CRASHES,
)
CRASH_OUT = Transition(
    "crash_out",
    _RUNNING,
    JobState.FAILED,
    Fence.CLAIM,
    "the attempt's process died once too often: crash loop",
    charges=Budget.CRASHES,
)
SUSPEND = Transition(
    "suspend",
    _RUNNING,
    JobState.SCHEDULED,
    Fence.CLAIM,
    "the job sleeps and holds no worker",
)
RELEASE = Transition(
    "release",
    _RUNNING,
    JobState.SCHEDULED,
    Fence.CLAIM,
    "the worker gives the job back unfinished",
    charges=Budget.RELEASES,
)
HOLD = Transition(
    "hold",
    _RUNNING,
    JobState.HELD,
    Fence.CLAIM,
    "going on could repeat or lose work: a person decides",
)
STOP = Transition(
    "stop",
    _RUNNING,
    JobState.CANCELLED,
    Fence.CLAIM,
    "the attempt honours a cancel request",
)
CANCEL = Transition(
    "cancel",
    _from(JobState.SCHEDULED, JobState.OFFERED, JobState.HELD),
    JobState.CANCELLED,
    Fence.STATE,
    "cancelled before any attempt could go on",
)

_HELD = _from(JobState.HELD)
RESUME = Transition(
    "resume", _HELD, JobState.SCHEDULED, Fence.SEEN, "a person lets the held job go on"
)
ACCEPT = Transition(
    "accept", _HELD, JobState.SUCCEEDED, Fence.SEEN, "a person says what the job's result is"
)
ABANDON = Transition("abandon", _HELD, JobState.FAILED, Fence.SEEN, "a person gives the job up")
EXPIRE = Transition(
    "expire",
    _WAITING,
    JobState.CANCELLED,
    Fence.SEEN,
    "it was not begun by the moment it expires at",
)
REPLACE = Transition(
    "replace",
    _WAITING,
    JobState.SCHEDULED,
    Fence.SEEN,
    "dispatched again before any attempt: a new payload, and every message before is void",
)

TRANSITIONS: tuple[Transition, ...] = (
    OFFER,
    REOFFER,
    PARK,
    CLAIM,
    DEFER,
    RECOVER,
    EXHAUST,
    SUCCEED,
    RETRY,
    FAIL,
    CRASH,
    CRASH_OUT,
    SUSPEND,
    RELEASE,
    HOLD,
    STOP,
    CANCEL,
    RESUME,
    ACCEPT,
    ABANDON,
    EXPIRE,
    REPLACE,
)
