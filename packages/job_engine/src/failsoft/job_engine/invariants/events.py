"""What must be true of the events of one job."""

from collections.abc import Iterator
from itertools import pairwise

from failsoft.job_engine.invariants.history import Finding, History
from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.records.states import (
    CLAIM,
    STOP,
    SUCCEED,
    TERMINAL,
    TRANSITIONS,
    UNCHARGE,
    Fence,
    JobState,
)
from failsoft.job_engine.records.waits import WAKE

#: The events that no transition makes.
DISPATCH = "dispatch"
CANCEL_REQUEST = "cancel_request"

TRANSITION = {transition.name: transition for transition in TRANSITIONS}

#: The event of a claim.
CLAIMED = CLAIM.name

_OFFERS = frozenset(t.name for t in TRANSITIONS if t.target is JobState.OFFERED)
_CONCLUSIONS = frozenset(t.name for t in TRANSITIONS if t.fence is Fence.CLAIM)
_AFTER_A_REQUEST = frozenset({SUCCEED.name, STOP.name})
#: What such an event leaves the job in: the state it was in, and no other epoch.
_STAYS = {
    CANCEL_REQUEST: frozenset({JobState.RUNNING}),
    WAKE: frozenset({JobState.SCHEDULED}),
    UNCHARGE: frozenset(JobState) - TERMINAL,
}
_FIRST = ((JobState.OFFERED, 1), (JobState.SCHEDULED, 0))


def makes_an_offer(event: HistoryEntry) -> bool:
    """Return whether an event hands the job to an engine."""
    kind = event.kind
    return kind in _OFFERS or (kind == DISPATCH and event.state is JobState.OFFERED)


def numbered_without_a_gap(history: History) -> Iterator[Finding]:
    """Find the first event whose number is not its place."""
    for place, event in enumerate(history.events, 1):
        if event.n != place:
            yield f"event {event.n} stands at place {place}", (event,)
            return


def begins_with_the_dispatch(history: History) -> Iterator[Finding]:
    """Find a history that begins with anything else, or not at all."""
    if not history.events:
        yield "the job has no event", ()
        return
    first, *later = history.events
    if first.kind != DISPATCH or (first.state, first.epoch) not in _FIRST:
        yield f"the history begins with {_told(first)}", (first,)
    for event in later:
        if event.kind == DISPATCH:
            yield "the job was dispatched again", (first, event)


def changes_by_the_table(history: History) -> Iterator[Finding]:
    """Find events that do not follow from the one before by the table of transitions."""
    for before, after in pairwise(history.events):
        if after.kind != DISPATCH and not _follows(before, after):
            yield f"{_told(after)} after {_told(before)}", (before, after)


def epochs_grow(history: History) -> Iterator[Finding]:
    """Find an epoch that is smaller than one before it, and an offer with an old one."""
    highest: HistoryEntry | None = None
    for event in history.events:
        if highest is not None:
            if event.epoch < highest.epoch:
                yield f"epoch {event.epoch} after epoch {highest.epoch}", (highest, event)
            elif event.epoch == highest.epoch and makes_an_offer(event):
                yield f"epoch {event.epoch} was offered again", (highest, event)
        if highest is None or event.epoch >= highest.epoch:
            highest = event


def claimed_at_most_once(history: History) -> Iterator[Finding]:
    """Find epochs, and claim ids, with more than one claim."""
    claims: dict[object, HistoryEntry] = {}
    for event in history.events:
        if event.kind == CLAIMED:
            first = claims.setdefault(event.epoch, event)
            if first is not event:
                yield f"epoch {event.epoch} was claimed again", (first, event)
            first = claims.setdefault(event.detail.get("claim"), event)
            if first is not event:
                yield f"{_told(event)} with the claim id of {_told(first)}", (first, event)


def claimed_from_its_newest_offer(history: History) -> Iterator[Finding]:
    """Find claims by an engine or under an epoch that the newest offer does not name."""
    offer: HistoryEntry | None = None
    for event in history.events:
        if makes_an_offer(event):
            offer = event
        elif event.kind == CLAIMED:
            if offer is None:
                yield f"{_told(event)} without an offer", (event,)
            elif _offered(event) != _offered(offer):
                yield f"{_told(event)} after {_told(offer)}", (offer, event)


def concluded_by_the_newest_claim(history: History) -> Iterator[Finding]:
    """Find what a worker wrote without having the newest claim."""
    claim: HistoryEntry | None = None
    for event in history.events:
        if event.kind == CLAIMED:
            claim = event
        elif event.kind in _CONCLUSIONS:
            if claim is None:
                yield f"{_told(event)} without a claim", (event,)
            elif (event.epoch, event.actor) != (claim.epoch, claim.actor):
                yield f"{_told(event)} after {_told(claim)}", (claim, event)


def nothing_after_the_end(history: History) -> Iterator[Finding]:
    """Find events after a terminal state."""
    end: HistoryEntry | None = None
    for event in history.events:
        if end is not None:
            yield f"{_told(event)} after {_told(end)}", (end, event)
        elif event.state.is_terminal:
            end = event


def cancelled_or_finished(history: History) -> Iterator[Finding]:
    """Find attempts that ended in another way after a cancel had been requested."""
    request: HistoryEntry | None = None
    for event in history.events:
        if event.kind == CANCEL_REQUEST:
            request = request or event
        elif request is not None and event.kind in _CONCLUSIONS - _AFTER_A_REQUEST:
            yield f"{_told(event)} after the job was cancelled", (request, event)


def _follows(before: HistoryEntry, after: HistoryEntry) -> bool:
    if after.kind in _STAYS:
        fits = before.state in _STAYS[after.kind]
        return fits and (after.state, after.epoch) == (before.state, before.epoch)
    transition = TRANSITION.get(after.kind)
    if transition is None or before.state not in transition.sources:
        return False
    epoch = before.epoch + transition.new_epoch
    return after.state is transition.target and after.epoch == epoch


def _offered(event: HistoryEntry) -> tuple[int, object]:
    return event.epoch, event.detail.get("engine")


def _told(event: HistoryEntry) -> str:
    engine = f" on {event.detail['engine']}" if "engine" in event.detail else ""
    return f"{event.kind} ({event.state}, epoch {event.epoch}{engine}) by {event.actor}"
