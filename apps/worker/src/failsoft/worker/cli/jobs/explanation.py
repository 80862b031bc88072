"""Why a job is in the state it is in, in a sentence, from what the ledger keeps of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from failsoft.job_engine.outcome import UNKNOWN_JOB
from failsoft.job_engine.policies.limits import LimitUse
from failsoft.job_engine.ports.clock import BESIDE_WAITS, DELAY, DISPATCH, UNTIL
from failsoft.job_engine.records.job import (
    AttemptRecord,
    DispatchTry,
    HistoryEntry,
    JobRecord,
    StepKind,
    StepRecord,
    TryOutcome,
)
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import (
    ABANDON,
    ACCEPT,
    CRASH,
    DEFER,
    PARK,
    RELEASE,
    REPLACE,
    RESUME,
    RETRY,
    SUSPEND,
    JobState,
)
from failsoft.job_engine.records.waits import WAKE
from failsoft.worker.cli.output import counted, in_short, when


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the ledger keeps of a job, and what holds for it now.

    Attributes:
        again: The jobs that do its work again.
        pause: What keeps it from beginning.
        limits: How much of the room is taken that its limits leave.
        served: Whether a live worker serves its queue on the engine that it is offered to.
    """

    job: JobRecord
    tries: Sequence[DispatchTry]
    attempts: Sequence[AttemptRecord]
    steps: Sequence[StepRecord]
    events: Sequence[HistoryEntry]
    again: Sequence[JobRecord]
    pause: Pause | None
    limits: Sequence[LimitUse]
    served: bool


_Why = Callable[[Story, HistoryEntry], str]


def why(story: Story) -> str:
    """Say why the job is in its state; nothing where the state says it all."""
    last = next((e for e in reversed(story.events) if e.kind not in BESIDE_WAITS), None)
    if last is None:
        return "pruned" if story.job.is_pruned else ""
    return _BY_STATE[story.job.state](story, last)


def _why_it_waits(story: Story, last: HistoryEntry) -> str:
    if story.pause is not None:
        return str(story.pause)
    if story.job.waits_for is not None and story.job.run_at is None:
        return f"waits for {story.job.waits_for} to end"
    full = next((use for use in story.limits if use.is_full), None)
    if full is not None:
        return f"waits for its turn: {full}"
    explain = _BY_EVENT.get(last.kind)
    return _reason(last) if explain is None else explain(story, last)


def _why_it_runs(story: Story, last: HistoryEntry) -> str:
    asked = "; asked to stop at its next step" if story.job.cancel_requested else ""
    return f"attempt {story.job.claims} on {story.job.engine}{asked}"


def _why_cancelled(story: Story, last: HistoryEntry) -> str:
    if story.job.has_expired and story.job.expires_at is not None:
        return f"not begun by {when(story.job.expires_at)}, when it expired"
    return f"by {last.actor}{_colon(last)}"


def _why_failed(story: Story, last: HistoryEntry) -> str:
    if last.kind == ABANDON.name:
        return f"given up by {last.actor}{_colon(last)}"
    return _reason(last)


def _why_succeeded(story: Story, last: HistoryEntry) -> str:
    is_said = last.kind == ACCEPT.name
    return f"its result was given by {last.actor}{_colon(last)}" if is_said else ""


def _retried(story: Story, last: HistoryEntry) -> str:
    error = "" if story.job.error is None else f": {in_short(story.job.error)}"
    return f"waits for another attempt after {counted(story.job.errors, 'error')}{error}"


def _since_its_dispatch(story: Story, last: HistoryEntry) -> str:
    job, detail = story.job, last.detail
    refused = [each for each in story.tries if each.outcome is not TryOutcome.ACCEPTED]
    if UNTIL in detail or (detail.get(DELAY) and not refused):
        return "waits for its time"
    if refused:
        return f"parked, no engine took it: {refused[-1].engine} {refused[-1].reason}"
    return "does ended work again, due now" if job.retry_of else "due, not offered yet"


def _why_nobody_has_it(story: Story, last: HistoryEntry) -> str:
    job = story.job
    if story.pause is not None:
        return str(story.pause)
    if not story.served:
        return f"to {job.engine}, where no live worker serves queue {job.queue}"
    return f"to {job.engine}, waits for a free worker of queue {job.queue}"


def _suspended(story: Story, last: HistoryEntry) -> str:
    step = story.steps[-1] if story.steps else None
    if step is None or step.kind not in (StepKind.SLEEP, StepKind.WAIT):
        return "woken, due now"
    told = json.loads(step.result)
    if step.kind is StepKind.SLEEP:
        return f"sleeps {told} in step {step.name!r}"
    awaited = f"job {told['job']} to end" if told.get("job") else "an event"
    return f"waits for {awaited} in step {step.name!r}"


def _to_deploy(event: HistoryEntry) -> str:
    is_unknown = event.detail.get("reason") == UNKNOWN_JOB
    return "; it waits for a worker whose FAILSOFT_JOBS has it" if is_unknown else ""


def _reason(event: HistoryEntry) -> str:
    return str(event.detail.get("reason") or event.kind)


def _colon(event: HistoryEntry) -> str:
    return f": {reason}" if (reason := event.detail.get("reason")) else ""


def _told(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in detail.items()) or "due now"


_BY_STATE: Mapping[JobState, _Why] = MappingProxyType(
    {
        JobState.SCHEDULED: _why_it_waits,
        JobState.OFFERED: _why_nobody_has_it,
        JobState.RUNNING: _why_it_runs,
        JobState.HELD: lambda story, last: (
            f"{_reason(last)}; decide with `failsoft jobs resolve {story.job.id}`"
        ),
        JobState.CANCELLED: _why_cancelled,
        JobState.FAILED: _why_failed,
        JobState.SUCCEEDED: _why_succeeded,
    }
)
#: By the event that made it wait.
_BY_EVENT: Mapping[str, _Why] = MappingProxyType(
    {
        DISPATCH: _since_its_dispatch,
        REPLACE.name: _since_its_dispatch,
        PARK.name: lambda story, last: f"parked, no engine took it: {_reason(last)}",
        RETRY.name: _retried,
        CRASH.name: lambda story, last: (
            f"waits for another attempt, its process died: {_reason(last)}"
        ),
        SUSPEND.name: _suspended,
        RELEASE.name: lambda story, last: (
            f"given back by its worker: {_reason(last)}{_to_deploy(last)}"
        ),
        DEFER.name: lambda story, last: f"waits for its turn{_colon(last)}",
        RESUME.name: lambda story, last: f"goes on, resolved by {last.actor}{_colon(last)}",
        WAKE: lambda story, last: f"woken, {_told(last.detail)}",
    }
)
