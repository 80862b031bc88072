"""`failsoft jobs show`: the most important facts of a job first, then its whole history."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import AttemptRecord, HistoryEntry, JobRecord, Progress
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState
from failsoft.worker.cli.jobs.explanation import JobReport, why
from failsoft.worker.cli.jobs.values import in_json, job_document, step_document
from failsoft.worker.cli.output import (
    console,
    in_short,
    print_table,
    show,
    span,
    unqualified,
    when,
)
from failsoft.worker.logs.visible import visible_block

#: How many lines of a traceback are printed, the last ones; `--json` prints all.
TRACEBACK_LINES = 12
#: Details of events that are of use to the ledger alone.
_NOT_SHOWN = ("claim",)


def read_report(ledger: Ledger, job_id: str) -> JobReport:
    """Read everything that the ledger keeps of a job."""
    job = ledger.get(job_id)
    is_served = any(
        (worker.engine, worker.queue) == (job.engine, job.queue) for worker in ledger.live_workers()
    )
    return JobReport(
        job,
        ledger.tries(job_id),
        ledger.attempts(job_id),
        ledger.steps(job_id),
        ledger.events(job_id),
        ledger.again(job_id),
        None if job.state.is_terminal else _pause_of(job, ledger.pauses()),
        ledger.limit_uses(job.limits),
        is_served,
    )


def _pause_of(job: JobRecord, pauses: Sequence[Pause]) -> Pause | None:
    """Return what keeps a job from beginning, if anything does."""
    engine = job.engine if job.state is JobState.OFFERED else None
    held_back = (pause for pause in pauses if pause.holds_back(job.name, job.queue, engine))
    return next(held_back, None)


def report_document(report: JobReport) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "job": job_document(report.job),
        "why": why(report),
        "next_try_at": _next_try(report.job),
        "tries": report.tries,
        "attempts": report.attempts,
        "steps": [step_document(step) for step in report.steps],
        "events": report.events,
        "again": [job_document(job) for job in report.again],
        "paused": report.pause,
        "limits": report.limits,
    }


def print_report(report: JobReport) -> None:
    """Print the report as text and tables."""
    out, job = console(), report.job
    out.print(f"[bold]{show(job.name)}[/] {show(job.id)} {show(job.state)}{_on(job)}")
    for name, value in _facts(report):
        out.print(f"[dim]{name:<9}[/] {value}", soft_wrap=True)
    for use in () if job.state.is_terminal else report.limits:
        out.print(f"[yellow]{show(str(use))}[/]" if use.is_full else show(str(use)))
    _print_tables(report)
    if job.error is not None and job.error.traceback:
        out.print("[bold]Traceback[/] of the last error")
        lines = job.error.traceback.rstrip("\n").split("\n")[-TRACEBACK_LINES:]
        out.print(visible_block("\n".join(lines)), markup=False, soft_wrap=True)


def _on(job: JobRecord) -> str:
    """Return the engine that has or had the job; a scheduled job is on none."""
    is_on = job.state is not JobState.SCHEDULED and job.engine
    return f" on {show(job.engine)}" if is_on else ""


def _next_try(job: JobRecord) -> datetime | None:
    return job.run_at if job.state is JobState.SCHEDULED else None


def _facts(report: JobReport) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the facts; those without a value are left out."""
    job = report.job
    yield from _state_facts(report)
    if not job.is_pruned:
        yield "payload", show(in_json(job.payload))
    if job.state is JobState.SUCCEEDED and not job.is_pruned:
        yield "result", show(in_json(job.result))
    if job.error is not None:
        yield "error", f"[red]{show(in_short(job.error))}[/]"
    words = {
        "progress": None if job.progress is None else _progress(job.progress),
        "cancel": _cancel(job),
        **_dates(job),
        "key": job.idempotency_key,
        "tags": ", ".join(job.tags),
        "queue": _queue(job),
        "again": job.retry_of and f"retries {job.retry_of}",
        "parent": job.parent_id and f"invoked by {job.parent_id}",
    }
    yield from ((name, show(word)) for name, word in words.items() if word)
    for again in report.again:
        yield "again", f"retried as {show(again.id)}, which is {show(again.state)}"


def _state_facts(report: JobReport) -> Iterator[tuple[str, str]]:
    if reason := why(report):
        colour = "default" if report.job.state.is_terminal else "yellow"
        yield "why", f"[{colour}]{show(reason)}[/]"
    if (next_try := _next_try(report.job)) is not None:
        yield "next try", f"{when(next_try)} ({_from_now(next_try)})"


def _cancel(job: JobRecord) -> str:
    if not job.cancel_requested:
        return ""
    return "requested before it ended" if job.state.is_terminal else "requested"


def _dates(job: JobRecord) -> Mapping[str, str]:
    moments = {"created": job.created_at, "began": job.started_at, "ended": job.finished_at}
    if not job.state.is_terminal:
        moments |= {"pickup by": job.pickup_by, "lease": job.lease_until}
        moments |= {"expires": job.expires_at if job.started_at is None else None}
    return {name: when(moment) for name, moment in moments.items() if moment}


def _queue(job: JobRecord) -> str:
    parts = [job.queue]
    parts += [f"priority {job.priority}"] if job.priority else []
    parts += [f"engines {', '.join(job.engines)}"] if job.engines else []
    parts += [f"payload version {job.version}"] if job.version != 1 else []
    return ", ".join(parts)


def _from_now(moment: datetime) -> str:
    ahead = moment - datetime.now(UTC)
    return f"in {span(ahead)}" if ahead > timedelta(0) else "due"


def _progress(progress: Progress) -> str:
    of = "" if progress.total is None else f" of {progress.total}"
    return f"{progress.done}{of} {progress.note}".strip()


def _print_tables(report: JobReport) -> None:
    print_table(
        "Dispatch",
        ("epoch", "engine", "stage", "outcome", "ms", "reason"),
        (
            (t.epoch, t.engine, t.stage, t.outcome, f"{t.elapsed * 1000:.1f}", t.reason)
            for t in report.tries
        ),
    )
    print_table(
        "Attempts",
        ("epoch", "engine", "worker", "started", "ended", "outcome", "error"),
        (_attempt(attempt) for attempt in report.attempts),
        spare=("worker", "ended"),
    )
    print_table(
        "Events",
        ("n", "at", "event", "state", "epoch", "by", "detail"),
        ((e.n, e.at, e.kind, e.state, e.epoch, e.actor, _detail(e)) for e in report.events),
        spare=("state", "epoch"),
    )


def _attempt(attempt: AttemptRecord) -> Sequence[object]:
    error = None if attempt.error is None else in_short(attempt.error)
    times = attempt.started_at, attempt.ended_at
    return attempt.epoch, attempt.engine, attempt.worker, *times, attempt.outcome, error


def _detail(event: HistoryEntry) -> Mapping[str, object]:
    shown = {name: value for name, value in event.detail.items() if name not in _NOT_SHOWN}
    if isinstance(reason := shown.get("reason"), str):
        shown["reason"] = unqualified(reason)
    return shown
