"""What must be true of a job's row, attempts and steps, seen beside its events."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise, takewhile

from failsoft.job_engine.invariants.events import (
    CANCEL_REQUEST,
    CLAIMED,
    DISPATCH,
    TRANSITION,
    makes_an_offer,
)
from failsoft.job_engine.invariants.history import Finding, History
from failsoft.job_engine.records.job import AttemptRecord, HistoryEntry, StepKind, StepRecord
from failsoft.job_engine.records.states import RESUME, SUSPEND, UNCHARGE, Budget, JobState

#: What may be recorded with the suspension of its attempt.
_SUSPENDING = frozenset({StepKind.SLEEP, StepKind.WAIT, StepKind.ANSWERED})


def has_a_next_look(history: History) -> Iterator[Finding]:
    """Find a job that is not over and that no scheduler and no rescuer will ever find."""
    job = history.job
    looks = {
        JobState.SCHEDULED: ("run_at", job.run_at),
        JobState.OFFERED: ("pickup_by", job.pickup_by),
        JobState.RUNNING: ("lease_until", job.lease_until),
    }
    column, moment = looks.get(job.state, ("", True))
    # The end of what it waits for lets it start.
    waits = job.state is JobState.SCHEDULED and job.waits_for is not None
    if moment is None and not waits:
        yield f"the job is {job.state} and has no {column}", _last(history)


def row_as_its_last_event(history: History) -> Iterator[Finding]:
    """Find a row that says something else than the last event."""
    job = history.job
    if not history.events:
        return
    last = history.events[-1]
    if (job.state, job.epoch) != (last.state, last.epoch):
        yield f"the row is {job.state} at epoch {job.epoch}", (last,)
    engine = _engine_of_newest_offer(history)
    if job.engine != engine:
        yield f"the row names engine {job.engine}, the newest offer {engine}", (last,)
    requests = tuple(event for event in history.events if event.kind == CANCEL_REQUEST)
    if job.cancel_requested != bool(requests):
        yield f"the row says cancel_requested={job.cancel_requested}", requests or (last,)


def counters_as_events(history: History) -> Iterator[Finding]:
    """Find counters that are not the number of the events that they count."""
    charged = Counter(
        TRANSITION[event.kind].charges for event in history.events if event.kind in TRANSITION
    )
    charged[Budget.CRASHES] -= sum(event.kind == UNCHARGE for event in history.events)
    for budget in Budget:
        counted: int = getattr(history.job, budget)
        if counted != charged[budget]:
            yield f"the row counts {counted} {budget}, the events {charged[budget]}", ()
    moved = _handoffs(history)
    if history.job.handoffs != len(moved):
        yield f"the row counts {history.job.handoffs} handoffs, the events {len(moved)}", moved


def one_outcome(history: History) -> Iterator[Finding]:
    """Find a result without success, and an end without its moment."""
    job = history.job
    if job.result is not None and job.state is not JobState.SUCCEEDED:
        yield f"the job is {job.state} and has a result", _last(history)
    if (job.finished_at is not None) != job.state.is_terminal:
        yield f"the job is {job.state} and has finished_at={job.finished_at}", _last(history)


def attempts_are_the_claims(history: History) -> Iterator[Finding]:
    """Find attempts without their claim, and claims without their attempt."""
    claims = {event.epoch: event for event in history.events if event.kind == CLAIMED}
    attempts = {attempt.epoch: attempt for attempt in history.attempts}
    for epoch in sorted(claims.keys() - attempts.keys()):
        yield f"the claim of epoch {epoch} left no attempt", (claims[epoch],)
    for epoch, attempt in attempts.items():
        claim = claims.get(epoch)
        if claim is None:
            yield f"an attempt of epoch {epoch}, which no claim made", ()
        elif _claim_of(attempt) != (*_token(claim), claim.actor):
            yield f"the attempt of epoch {epoch} is {_claim_of(attempt)}", (claim,)


def attempts_end_with_their_event(history: History) -> Iterator[Finding]:
    """Find attempts that ended in another way than the events say, or did not end."""
    ends = dict(_ends(history))
    for attempt in history.attempts:
        end = ends.get(attempt.epoch)
        if attempt.outcome != (end and end.kind) or (attempt.ended_at is None) != (end is None):
            shown = (end,) if end else _last(history)
            yield f"the attempt of epoch {attempt.epoch} ended by {attempt.outcome}", shown


def recorded_once_in_its_place(history: History) -> Iterator[Finding]:
    """Find steps recorded twice, and two in one place.

    A place may be empty: that of a branch of `ctx.parallel` that raised, or that has not ended.
    """
    if not history.steps:
        return
    names: set[str] = set()
    places: dict[int, str] = {}
    for step in history.steps:
        if step.name in names:
            yield f"step {step.name!r} is recorded twice", ()
        known = places.setdefault(step.seq, step.name)
        if known != step.name:
            yield f"step {step.name!r} stands in place {step.seq} of step {known!r}", ()
        names.add(step.name)


def recorded_by_who_had_claimed(history: History) -> Iterator[Finding]:
    """Find steps of an epoch that no claim made, or older than what was recorded before them.

    A step of epoch 0 is no attempt's: a person said what its result is, or it was copied from
    the job whose work this one does again.
    """
    if not history.steps:
        return
    claimed = {event.epoch for event in history.events if event.kind == CLAIMED}
    set_otherwise = _set_without_an_attempt(history)
    for step in history.steps:
        if step.epoch not in claimed and (step.epoch, step.name) not in set_otherwise:
            yield f"step {step.name!r} of epoch {step.epoch}, which no claim made", ()
    for before, after in pairwise(_as_recorded(history)):
        if after.epoch < before.epoch:
            yield f"step {after.name!r} of epoch {after.epoch} after {_named(before)}", ()


def recorded_while_it_had_authority(history: History) -> Iterator[Finding]:
    """Find steps recorded before their attempt began or after it had ended."""
    if not history.steps or not _clock_went_forward(history):
        return
    attempts = {attempt.epoch: attempt for attempt in history.attempts}
    for step in history.steps:
        attempt = attempts.get(step.epoch)
        if attempt is not None and step.recorded_at is not None:
            late = _is_later(step, attempt)
            # A wait may be taken for younger than it was, where a clock was ahead.
            early = step.kind is not StepKind.WAIT and step.recorded_at < attempt.started_at
            if late or early:
                when = "after it had ended" if late else "before it began"
                yield f"{_named(step)} was recorded {when}", _of_epoch(history, step.epoch)


def no_step_after_a_cancel(history: History) -> Iterator[Finding]:
    """Find steps that must have begun after a cancel of the attempt."""
    if not history.steps:
        return
    request = next((e for e in history.events if e.kind == CANCEL_REQUEST), None)
    if request is None or not _clock_went_forward(history):
        return
    later = [step for step in history.steps if _is_after(step.recorded_at, request.at)]
    for step in later[len(_in_flight(later, request)) :]:
        yield f"{_named(step)} was recorded after the job was cancelled", (request,)


def settled_by_a_person(history: History) -> Iterator[Finding]:
    """Find steps in doubt that stayed so although a person let the job go on with them (I6)."""
    doubts = {step.name: step.epoch for step in history.steps if step.kind is StepKind.INTENT}
    for event in history.events:
        if event.kind == RESUME.name:
            for name, epoch in doubts.items():
                if epoch <= event.epoch:
                    yield f"step {name!r} of epoch {epoch} is still in doubt", (event,)


def _as_recorded(history: History) -> Sequence[StepRecord]:
    """Return the steps of attempts as they were recorded, where clocks show it."""
    steps = [step for step in history.steps if step.epoch and step.kind is not StepKind.WAIT]
    if not _clock_went_forward(history):
        return ()
    # By their places where two were recorded at one moment.
    return sorted(steps, key=lambda step: step.recorded_at or history.job.created_at)


def _in_flight(later: Sequence[StepRecord], request: HistoryEntry) -> Sequence[StepRecord]:
    """Return what had begun when a cancel came: its attempt has the authority to record it."""
    mine = list(takewhile(lambda step: step.epoch == request.epoch, later))
    branches = list(takewhile(lambda step: step.kind is StepKind.BRANCH, mine))
    return branches or mine[:1]


def _set_without_an_attempt(history: History) -> set[tuple[int, str]]:
    sets = [e.detail.get("done", []) for e in history.events if e.kind == RESUME.name]
    sets += [e.detail.get("copied", []) for e in history.events if e.kind == DISPATCH]
    return {(0, name) for names in sets for name in names}


def _clock_went_forward(history: History) -> bool:
    # A clock that was set back, or that differs between processes (SQLite), proves nothing.
    return all(before.at <= after.at for before, after in pairwise(history.events))


def _is_later(step: StepRecord, attempt: AttemptRecord) -> bool:
    # A sleep or a wait is recorded by the very transaction that ends its attempt.
    slept = step.kind in _SUSPENDING and attempt.outcome == SUSPEND.name
    return not slept and _is_after(step.recorded_at, attempt.ended_at)


def _is_after(moment: datetime | None, limit: datetime | None) -> bool:
    return moment is not None and limit is not None and moment > limit


def _ends(history: History) -> Iterator[tuple[int, HistoryEntry]]:
    for before, after in pairwise(history.events):
        transition = TRANSITION.get(after.kind)
        if transition is not None and transition.ends_attempt:
            yield before.epoch, after


def _handoffs(history: History) -> tuple[HistoryEntry, ...]:
    moved, engine = [], None
    for event in history.events:
        if makes_an_offer(event):
            if engine not in (None, event.detail.get("engine")):
                moved.append(event)
            engine = event.detail.get("engine")
    return tuple(moved)


def _engine_of_newest_offer(history: History) -> object:
    offers = [event.detail.get("engine") for event in history.events if makes_an_offer(event)]
    return offers[-1] if offers else None


def _token(claim: HistoryEntry) -> tuple[object, object]:
    return claim.detail.get("claim"), claim.detail.get("engine")


def _claim_of(attempt: AttemptRecord) -> tuple[str, str, str]:
    return attempt.claim_id, attempt.engine, attempt.worker


def _named(step: StepRecord) -> str:
    return f"step {step.name!r} of epoch {step.epoch}"


def _of_epoch(history: History, epoch: int) -> tuple[HistoryEntry, ...]:
    return tuple(event for event in history.events if event.epoch == epoch)


def _last(history: History) -> tuple[HistoryEntry, ...]:
    return tuple(history.events[-1:])
