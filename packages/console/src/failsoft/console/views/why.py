"""Why a job is where it is, in sentences, from what the ledger keeps of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from types import MappingProxyType

from failsoft.console.views.filters import clock, seen, span
from failsoft.job_engine.policies.limits import LimitUse
from failsoft.job_engine.ports.console import Story
from failsoft.job_engine.records.job import AttemptRecord, DispatchTry, StepKind, TryOutcome
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import (
    CRASH,
    CRASH_OUT,
    EXHAUST,
    FAIL,
    HOLD,
    OFFER,
    PARK,
    RECOVER,
    RELEASE,
    REOFFER,
    RETRY,
    STOP,
    SUCCEED,
    SUSPEND,
    JobState,
)

#: Sentences of a longer life than this are left out in the middle.
MOST_SENTENCES = 14

_STAGES: Mapping[str, str] = MappingProxyType(
    {
        "flag": "it is disabled",
        "definition": "the job does not allow it",
        "breaker": "its breaker was open",
        "workers": "no live worker served the queue",
        "offer": "the offer failed",
        "pickup": "no worker claimed the offer in time",
    }
)
_ENDS: Mapping[str, str] = MappingProxyType(
    {
        SUCCEED.name: "it succeeded",
        FAIL.name: "it failed for good",
        RETRY.name: "it raised, and attempts were left",
        CRASH.name: "its process died",
        CRASH_OUT.name: "its process died once too often",
        EXHAUST.name: "its lease ran out once too often",
        RECOVER.name: "its lease ran out",
        SUSPEND.name: "the job went to sleep",
        RELEASE.name: "the worker gave the job back",
        HOLD.name: "it left a step in doubt",
        STOP.name: "it honoured a request to cancel",
    }
)


#: Reasons of the ledger that are no clause of a sentence.
_BECAUSE: Mapping[object, str] = MappingProxyType(
    {
        "worker died": "its worker had died",
        "due": "it was due",
        "lease lost": "its lease was lost",
    }
)
_MOVES = frozenset({OFFER.name, REOFFER.name, RECOVER.name})


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence; `look` is `good`, `bad`, `plain` or `now`, for what holds now."""

    at: datetime | None
    text: str
    look: str = "plain"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds for a job now besides its own history.

    Attributes:
        pause: The pause that keeps it from beginning.
        limits: How much of its limits is in use.
        is_served: Whether a live worker serves its queue on the engine that it is offered to.
    """

    pause: Pause | None = None
    limits: Sequence[LimitUse] = ()
    is_served: bool = True


def why_here(story: Story, now: Circumstances) -> Sequence[Sentence]:
    """Return how a job came to where it is, the oldest first, and what holds it there."""
    told = sorted(_history(story), key=_place(story))
    if len(told) > MOST_SENTENCES:
        left_out = len(told) - MOST_SENTENCES + 1
        cut = Sentence(None, f"… {left_out} more, in the table …")
        told = [told[0], cut, *told[left_out + 1 :]]
    return [*told, *_now(story, now)]


def carried_on(story: Story) -> str:
    """Return in a sentence what a hand-over to another engine has kept; empty without one."""
    engines = [each.engine for each in story.attempts]
    if len(set(engines)) <= 1:
        return ""
    pairs = pairwise(story.attempts)
    last = [after for before, after in pairs if before.engine != after.engine][-1]
    kept = [each for each in story.steps if each.epoch < last.epoch and each.kind in _FINISHED]
    moved = " → ".join(seen(engine) for engine, _ in groupby(engines))
    if not kept:
        return f"{moved}: no step was finished before, so it began anew."
    number = "1 finished step was" if len(kept) == 1 else f"{len(kept)} finished steps were"
    return f"{moved}: it went on after step {seen(kept[-1].name)}; {number} not done again."


_FINISHED = frozenset(StepKind) - {StepKind.INTENT, StepKind.WAIT}


def _place(story: Story) -> Callable[[Sentence], datetime]:
    return lambda each: each.at or story.job.created_at


def _history(story: Story) -> Iterator[Sentence]:
    # Of the same moment the end of an attempt comes first: it is the cause of what follows.
    for attempt in story.attempts:
        yield from _ended(attempt)
    claims = {each.epoch: each.started_at for each in story.attempts}
    for each in story.tries:
        yield _tried(each, claims.get(each.epoch))
    for event in story.events:
        reason = event.detail.get("reason")
        if event.kind in _MOVES:
            engine, before = event.detail.get("engine"), event.detail.get("from")
            because = f", because {_BECAUSE.get(reason, _lower(seen(reason)))}" if reason else ""
            moved = (
                f"from {seen(before)} to {seen(engine)}"
                if before != engine
                else (f"to {seen(engine)} again")
            )
            yield Sentence(event.at, f"It was handed {moved} as epoch {event.epoch}{because}.")
        elif event.kind == PARK.name:
            yield Sentence(
                event.at, f"No engine took it{_colon(reason)}; it is tried again.", "bad"
            )
    yield from _began(story)


def _began(story: Story) -> Iterator[Sentence]:
    for number, each in enumerate(story.attempts, 1):
        text = f"Attempt {number} claimed it on {seen(each.engine)}: {seen(each.worker)}."
        yield Sentence(each.started_at, text)


def _tried(each: DispatchTry, claimed_at: datetime | None) -> Sentence:
    engine = seen(each.engine)
    if each.outcome is TryOutcome.ACCEPTED:
        # Tries are written a moment later than they are made; a claim cannot come before.
        at = each.at if claimed_at is None or each.at is None else min(each.at, claimed_at)
        return Sentence(at, f"{engine} took the offer in {span(each.elapsed)}.", "good")
    stage = _STAGES.get(each.stage, f"it stopped at {each.stage}")
    why = f": {seen(each.reason)}" if each.reason else ""
    if each.outcome is TryOutcome.SKIPPED:
        return Sentence(each.at, f"{engine} was skipped, {stage}{why}.", "bad")
    if each.outcome is TryOutcome.UNKNOWN:
        return Sentence(each.at, f"{engine} may have taken the offer or not{why}.", "bad")
    return Sentence(each.at, f"{engine} did not take the offer, {each.outcome}{why}.", "bad")


def _ended(attempt: AttemptRecord) -> Iterator[Sentence]:
    if attempt.ended_at is not None and attempt.outcome is not None:
        took = span(attempt.ended_at - attempt.started_at)
        end = _ENDS.get(attempt.outcome, f"it ended with {seen(attempt.outcome)}")
        error = ""
        if attempt.error is not None and attempt.outcome != SUCCEED.name:
            message = f": {seen(attempt.error.message[:160])}" if attempt.error.message else ""
            error = f" ({seen(attempt.error.type.rpartition('.')[2])}{message})"
        is_good = attempt.outcome in (SUCCEED.name, SUSPEND.name)
        look = "good" if is_good else "bad"
        yield Sentence(attempt.ended_at, f"After {took} {end}{error}.", look)


def _now(story: Story, now: Circumstances) -> Iterator[Sentence]:
    job = story.job
    if job.cancel_requested and not job.state.is_terminal:
        yield Sentence(None, "A cancel is requested; it stops at its next step.", "now")
    if job.state in (JobState.SCHEDULED, JobState.OFFERED):
        yield from _waits(story, now)
    elif job.state is JobState.RUNNING:
        until = f"; its lease lasts until {clock(job.lease_until)}" if job.lease_until else ""
        yield Sentence(None, f"It runs on {seen(job.engine)}{until}.", "now")
    elif job.state is JobState.HELD:
        reason = "" if job.error is None else f": {seen(job.error.message[:300])}"
        yield Sentence(None, f"It waits for a person{reason}.", "now")
    elif job.has_expired:
        yield Sentence(
            None, f"It was not begun by {clock(job.expires_at)}, when it expired.", "now"
        )


def _waits(story: Story, now: Circumstances) -> Iterator[Sentence]:
    job = story.job
    if now.pause is not None:
        yield Sentence(None, f"It may not begin: {seen(now.pause)}.", "now")
    if job.waits_for is not None and job.run_at is None:
        yield Sentence(None, f"It waits for job {seen(job.waits_for)} to end.", "now")
    for use in now.limits:
        if use.is_full:
            yield Sentence(None, f"It waits for room: {seen(use)}.", "now")
    if job.state is JobState.OFFERED:
        text = f"It waits for a free worker of {seen(job.queue)} on {seen(job.engine)}."
        if not now.is_served:
            text = f"No live worker serves {seen(job.queue)} on {seen(job.engine)}; it moves on."
        yield Sentence(None, text, "now")
    elif job.run_at is not None:
        yield Sentence(None, f"It {_sleeps(story)} until {clock(job.run_at)}.", "now")


def _sleeps(story: Story) -> str:
    step = story.steps[-1] if story.steps else None
    if step is None or step.kind not in (StepKind.SLEEP, StepKind.WAIT):
        return "waits"
    if step.kind is StepKind.SLEEP:
        return f"sleeps in step {seen(step.name)}"
    try:
        is_for_job = bool(json.loads(step.result).get("job"))
    except (ValueError, AttributeError):
        is_for_job = False
    awaited = "another job to end" if is_for_job else "an event"
    return f"waits in step {seen(step.name)} for {awaited}, at most"


def _colon(reason: object) -> str:
    return f": {seen(reason)}" if reason else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
