"""The rules of docs/explain/protocol.md, taken away one by one: each must break its invariants.

A mutation replaces a row of the product's table, or drops one rule that the processes keep.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import cast

from failsoft.job_engine.records.states import (
    CLAIM,
    OFFER,
    RECOVER,
    REOFFER,
    SUCCEED,
    TRANSITIONS,
    Fence,
    JobState,
    Transition,
)
from tests.model.rules import ONCE, PLAIN, Config, Protocol, Rules

_ANYWHERE = frozenset(JobState)
_SMALL = Config("2 workers, 1 rescuer, 3 epochs", 2, 1, 3, (PLAIN, ONCE))


@dataclass(frozen=True)
class Mutation:
    """A protocol with something taken away.

    Attributes:
        name: Its name in the protocol.
        meaning: What is taken away.
        breaks: The invariants that it must break.
        replaced: Rows of the table that stand instead of the product's.
        dropped: The names of the rules that the processes do not keep.
        only: Whether it may break nothing else.
    """

    name: str
    meaning: str
    breaks: frozenset[str]
    replaced: tuple[Transition, ...] = ()
    dropped: tuple[str, ...] = ()
    only: bool = False
    config: Config = _SMALL

    def protocol(self) -> Protocol:
        """Return the product's table and rules, mutated."""
        table = {each.name: each for each in (*TRANSITIONS, *self.replaced)}
        return Protocol(table, replace(Rules(), **dict.fromkeys(self.dropped, False)))


class _Weaker(Enum):
    """Fences that must not be used."""

    EPOCH_WITHOUT_ENGINE = ("epoch",)


def _by_id(transition: Transition) -> Transition:
    """Return a transition as `UPDATE ... WHERE id = ?` makes it."""
    return replace(transition, sources=_ANYWHERE, fence=Fence.STATE)


def _keeping_the_epoch() -> Iterator[Transition]:
    for transition in (OFFER, REOFFER, RECOVER):
        yield replace(transition, new_epoch=False)


_CLAIM_BY_EPOCH_ALONE = replace(CLAIM, fence=cast("Fence", _Weaker.EPOCH_WITHOUT_ENGINE))
_MARK = Transition("mark", _ANYWHERE, JobState.OFFERED, Fence.STATE, "it was sent: note it")

_REROUTE = Transition(
    "reroute",
    frozenset({JobState.OFFERED, JobState.RUNNING}),
    JobState.OFFERED,
    Fence.STATE,
    "its route has changed: let another engine have it",
)

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "M1",
        "a claim ignores the epoch, and with it whose offer it is",
        frozenset({"I8"}),
        replaced=(replace(CLAIM, fence=Fence.STATE),),
        only=True,
    ),
    Mutation(
        "M2",
        "a claim is read first and then written by id",
        frozenset({"I2", "I3", "I4"}),
        dropped=("claim_in_one_statement",),
    ),
    Mutation(
        "M3",
        "a result and a step are recorded without the fence",
        frozenset({"I3", "I4"}),
        replaced=(_by_id(SUCCEED),),
        dropped=("fence_records",),
    ),
    Mutation(
        "M4",
        "a step begins without asking, by what was known at the claim",
        frozenset({"I5", "I6"}),
        dropped=("ask_at_begin",),
    ),
    Mutation(
        "M5",
        "a rescuer updates by id",
        frozenset({"I4"}),
        replaced=(_by_id(RECOVER),),
    ),
    Mutation(
        "M6",
        "an offer keeps the epoch of the one before",
        frozenset({"I2", "I3"}),
        replaced=tuple(_keeping_the_epoch()),
    ),
    Mutation(
        "M6 without engines",
        "the same, and a claim does not compare the engine either",
        frozenset({"I2", "I3", "I8"}),
        replaced=(*_keeping_the_epoch(), _CLAIM_BY_EPOCH_ALONE),
    ),
    Mutation(
        "M7",
        "the dispatcher marks the job as offered after it sent the message",
        frozenset({"I2", "I3", "I4"}),
        replaced=(_MARK,),
        dropped=("state_before_send",),
    ),
    Mutation(
        "M8",
        "no rescuer looks at offers",
        frozenset({"I1"}),
        dropped=("rescue_offered",),
        only=True,
    ),
    Mutation(
        "M9",
        "a once step begins without an intent",
        frozenset({"I6"}),
        dropped=("intent_before_once",),
        only=True,
    ),
    Mutation(
        "M10",
        "no rescuer looks at running jobs",
        frozenset({"I1"}),
        dropped=("rescue_running",),
        only=True,
    ),
    Mutation(
        "M11",
        "the record of a step counts as the check at the next begin",
        frozenset({"I5"}),
        dropped=("ask_at_every_begin",),
        config=replace(_SMALL, steps=(PLAIN, PLAIN)),
        only=True,
    ),
    Mutation(
        "M12",
        "a begin does not heed the cancel request",
        frozenset({"I9"}),
        dropped=("heed_cancel_at_begin",),
        config=replace(_SMALL, cancel=True),
        only=True,
    ),
    Mutation(
        "M13",
        "a rescuer goes by the ledger's clock alone, and it was ahead when the lease was written",
        frozenset({"I1"}),
        dropped=("watch_by_steady_clock",),
        config=replace(_SMALL, clock_ahead=True),
        only=True,
    ),
    Mutation(
        "M14",
        "no look pulls in what waits for a time that the ledger's clock wrote while it was ahead",
        frozenset({"I1"}),
        dropped=("mend_deadlines",),
        config=replace(_SMALL, clock_ahead=True),
        only=True,
    ),
    Mutation(
        "M15",
        "weights lead to an engine that takes no offers, and to no other",
        frozenset({"I1"}),
        dropped=("weights_lead_somewhere",),
        config=replace(_SMALL, epochs=2, routes=True),
        only=True,
    ),
    Mutation(
        "M16",
        "a change of a route moves what was offered before, and what runs",
        frozenset({"I2", "I3"}),
        replaced=(_REROUTE,),
        dropped=("routes_move_nothing",),
        config=replace(_SMALL, epochs=2, routes=True),
    ),
)
