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
class JobReport:
    """Everything that the ledger keeps of a job, and what holds for it now.

    Attributes:
        again: The jobs that are retries of it.
        pause: The pause that keeps it from beginning.
        limits: How much of its limits is in use.
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


_Why = Callable[[JobReport, HistoryEntry], str]


def why(report: JobReport) -> str:
    """Return why the job is in its state; empty where the state is explanation enough."""
    last = next((e for e in reversed(report.events) if e.kind not in BESIDE_WAITS), None)
    if last is None:
        return "pruned" if report.job.is_pruned else ""
    return _BY_STATE[report.job.state](report, last)


def _why_it_waits(report: JobReport, last: HistoryEntry) -> str:
    if report.pause is not None:
        return str(report.pause)
    if report.job.waits_for is not None and report.job.run_at is None:
        return f"waits for {report.job.waits_for} to end"
    full = next((use for use in report.limits if use.is_full), None)
    if full is not None:
        return f"waits for its turn: {full}"
    explain = _BY_EVENT.get(last.kind)
    return _reason(last) if explain is None else explain(report, last)


def _why_it_runs(report: JobReport, last: HistoryEntry) -> str:
    stops = "; stops at its next step" if report.job.cancel_requested else ""
    return f"attempt {report.job.claims} on {report.job.engine}{stops}"


def _why_cancelled(report: JobReport, last: HistoryEntry) -> str:
    if report.job.has_expired and report.job.expires_at is not None:
        return f"not begun by {when(report.job.expires_at)}, when it expired"
    return f"by {last.actor}{_colon(last)}"


def _why_failed(report: JobReport, last: HistoryEntry) -> str:
    if last.kind == ABANDON.name:
        return f"given up by {last.actor}{_colon(last)}"
    return _reason(last)


def _why_succeeded(report: JobReport, last: HistoryEntry) -> str:
    is_resolved = last.kind == ACCEPT.name
    return f"its result was given by {last.actor}{_colon(last)}" if is_resolved else ""


def _retried(report: JobReport, last: HistoryEntry) -> str:
    error = "" if report.job.error is None else f": {in_short(report.job.error)}"
    return f"waits for another attempt after {counted(report.job.errors, 'error')}{error}"


def _since_its_dispatch(report: JobReport, last: HistoryEntry) -> str:
    job, detail = report.job, last.detail
    refused = [each for each in report.tries if each.outcome is not TryOutcome.ACCEPTED]
    if UNTIL in detail or (detail.get(DELAY) and not refused):
        return "waits for its time"
    if refused:
        return f"parked, no engine took it: {refused[-1].engine} {refused[-1].reason}"
    return "retry of an ended job, due now" if job.retry_of else "due, not offered yet"


def _why_unclaimed(report: JobReport, last: HistoryEntry) -> str:
    job = report.job
    if report.pause is not None:
        return str(report.pause)
    if not report.served:
        return f"to {job.engine}, where no live worker serves queue {job.queue}"
    return f"to {job.engine}, waits for a free worker of queue {job.queue}"


def _suspended(report: JobReport, last: HistoryEntry) -> str:
    step = report.steps[-1] if report.steps else None
    if step is None or step.kind not in (StepKind.SLEEP, StepKind.WAIT):
        return "woken, due now"
    recorded = json.loads(step.result)
    if step.kind is StepKind.SLEEP:
        return f"sleeps {recorded} in step {step.name!r}"
    awaited = f"job {recorded['job']} to end" if recorded.get("job") else "an event"
    return f"waits for {awaited} in step {step.name!r}"


def _to_deploy(event: HistoryEntry) -> str:
    is_unknown = event.detail.get("reason") == UNKNOWN_JOB
    return "; it waits for a worker whose FAILSOFT_JOBS has it" if is_unknown else ""


def _reason(event: HistoryEntry) -> str:
    return str(event.detail.get("reason") or event.kind)


def _colon(event: HistoryEntry) -> str:
    return f": {reason}" if (reason := event.detail.get("reason")) else ""


def _in_words(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in detail.items()) or "due now"


_BY_STATE: Mapping[JobState, _Why] = MappingProxyType(
    {
        JobState.SCHEDULED: _why_it_waits,
        JobState.OFFERED: _why_unclaimed,
        JobState.RUNNING: _why_it_runs,
        JobState.HELD: lambda report, last: (
            f"{_reason(last)}; decide with `failsoft jobs resolve {report.job.id}`"
        ),
        JobState.CANCELLED: _why_cancelled,
        JobState.FAILED: _why_failed,
        JobState.SUCCEEDED: _why_succeeded,
    }
)
#: For a scheduled job, by the event after which it waits.
_BY_EVENT: Mapping[str, _Why] = MappingProxyType(
    {
        DISPATCH: _since_its_dispatch,
        REPLACE.name: _since_its_dispatch,
        PARK.name: lambda report, last: f"parked, no engine took it: {_reason(last)}",
        RETRY.name: _retried,
        CRASH.name: lambda report, last: (
            f"waits for another attempt, its process died: {_reason(last)}"
        ),
        SUSPEND.name: _suspended,
        RELEASE.name: lambda report, last: (
            f"given back by its worker: {_reason(last)}{_to_deploy(last)}"
        ),
        DEFER.name: lambda report, last: f"waits for its turn{_colon(last)}",
        RESUME.name: lambda report, last: f"goes on, resolved by {last.actor}{_colon(last)}",
        WAKE: lambda report, last: f"woken, {_in_words(last.detail)}",
    }
)
