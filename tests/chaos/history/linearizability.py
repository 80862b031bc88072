"""Whether the answers to the clients of one job fit the one order of its events (Wing and Gong).

The row of a job is the object. Its events are its changes in their one order, each committed
somewhere between its own stamp and that of the next. What clients requested must fit in between:
each answer must be right at some instant between its call and its return. The search is that of
Wing and Gong with Lowe's memory of what was tried: an answer, or the next event, is placed only if
nothing that is left had to come before it.

A call without an answer, or whose answer is unknown, may have had its effect at any time after
it was made, or never; it explains an event, and needs no explanation itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import CancelOutcome
from failsoft.job_engine.records.states import JobState
from tests.chaos.history.evidence import Case, Moment
from tests.chaos.history.timeline import FOR_EVER, TICK
from tests.chaos.workload.operations import (
    ASKS_FOR_A_JOB,
    CANCEL,
    DISPATCH,
    FAIL,
    OK,
    SEND,
    UNIQUE,
    Operation,
)

#: Who the events name that the end of another job caused: of what it waited for, of its parent.
FOLLOW_UP, PARENT = "follow-up", "parent"
EFFECTS = {CancelOutcome.CANCELLED: "cancel", CancelOutcome.REQUESTED: "cancel_request"}

Placed = tuple[int, frozenset[int]]


def answers_fit_the_events(case: Case) -> Iterator[Violation]:
    """Find a job whose clients were answered what was at no time true."""
    moments = case.moments
    for moment in moments:
        if _is_a_clients(case, moment) and not any(
            _caused(each, moment) for each in case.operations
        ):
            found = f"no request for {moment.event.kind} at {moment.opens}"
            yield Violation(case.job_id, "I2", "linearizable", found, (moment.event,))
    answered = [each for each in case.operations if each.kind != SEND and _is_answered(each)]
    search = Search(moments, answered)
    if not search.succeeds():
        found = f"no order of {[_answered(each) for each in answered]} fits; {search.best}"
        yield Violation(case.job_id, "I2", "linearizable", found, tuple(case.history.events))


@dataclass
class Search:
    """Looks for an order of the events and the answers that could have been."""

    moments: Sequence[Moment]
    answers: Sequence[Operation]
    best: str = "nothing could be placed"

    def succeeds(self) -> bool:
        """Return whether there is one."""
        wanted = (len(self.moments), frozenset(range(len(self.answers))))
        waiting: list[Placed] = [(0, frozenset())]
        tried: set[Placed] = set()
        furthest = -1
        while waiting:
            placed = waiting.pop()
            if placed == wanted:
                return True
            if placed in tried:
                continue
            tried.add(placed)
            if placed[0] + len(placed[1]) > furthest:
                furthest = placed[0] + len(placed[1])
                self.best = f"{placed[0]} events and {sorted(placed[1])} could be placed"
            waiting += self._further(placed)
        return False

    def _further(self, placed: Placed) -> Iterator[Placed]:
        position, done = placed
        bound = self._first_return(position, done)
        if position < len(self.moments) and self.moments[position].opens - TICK <= bound:
            yield position + 1, done
        for number, answer in enumerate(self.answers):
            if number not in done and answer.invoked <= bound and self._is_true(number, placed):
                yield position, done | {number}

    def _first_return(self, position: int, done: frozenset[int]) -> int:
        returns = [
            answer.returned or FOR_EVER
            for number, answer in enumerate(self.answers)
            if number not in done
        ]
        closes = [moment.closes + TICK for moment in self.moments[position : position + 1]]
        return min([*returns, *closes], default=FOR_EVER)

    def _is_true(self, number: int, placed: Placed) -> bool:
        position, _ = placed
        if position == 0:
            return False
        answer, now = self.answers[number], self.moments[position - 1].event
        match answer.kind:
            case kind if kind in ASKS_FOR_A_JOB:
                if answer.answer["created"]:
                    return self._had_effect(number, placed, DISPATCH)
                # What stands in for another is there until it ends.
                return kind != UNIQUE or not JobState(now.state).is_terminal
            case "read":
                answered = (answer.answer["state"], answer.answer["epoch"])
                return answered == (str(now.state), now.epoch)
            case _:
                result = CancelOutcome(answer.answer["result"])
                if result is CancelOutcome.ENDED:
                    return JobState(now.state).is_terminal
                return self._had_effect(number, placed, EFFECTS[result])

    def _had_effect(self, number: int, placed: Placed, kind: str) -> bool:
        """Return whether an event after the call is its effect, and not that of another answer."""
        position, done = placed
        answer = self.answers[number]
        possible = [
            moment
            for moment in self.moments[:position]
            if moment.event.kind == kind and moment.opens >= answer.invoked - TICK
        ]
        claimed = [each for each in done if _effect(self.answers[each]) == kind]
        every = [moment for moment in self.moments[:position] if moment.event.kind == kind]
        return bool(possible) and len(every) > len(claimed)


def _effect(answer: Operation) -> str | None:
    if answer.kind in ASKS_FOR_A_JOB:
        return DISPATCH if answer.answer["created"] else None
    if answer.kind == CANCEL:
        return EFFECTS.get(CancelOutcome(answer.answer["result"]))
    return None


def _is_answered(operation: Operation) -> bool:
    return operation.outcome == OK and operation.returned is not None


def _is_a_clients(case: Case, moment: Moment) -> bool:
    if moment.event.kind == DISPATCH:
        return case.was_requested
    return moment.event.kind in EFFECTS.values() and moment.event.actor not in (FOLLOW_UP, PARENT)


def _caused(operation: Operation, moment: Moment) -> bool:
    kinds = ASKS_FOR_A_JOB if moment.event.kind == DISPATCH else (CANCEL,)
    returned = operation.returned if operation.outcome == OK and operation.returned else FOR_EVER
    in_time = operation.invoked - TICK <= moment.opens <= returned + TICK
    return operation.kind in kinds and operation.outcome != FAIL and in_time


def _answered(operation: Operation) -> str:
    stretch = f"{operation.invoked}..{operation.returned}"
    return f"{operation.kind} {stretch} {operation.answer}"
