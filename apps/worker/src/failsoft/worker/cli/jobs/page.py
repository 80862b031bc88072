"""`failsoft jobs show`: what one asks of a job first, then its whole story."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import AttemptRecord, HistoryEntry, JobRecord, Progress
from failsoft.job_engine.records.pauses import pause_of
from failsoft.job_engine.records.states import JobState
from failsoft.worker.cli.jobs.explanation import Story, why
from failsoft.worker.cli.jobs.values import in_json, job_document, step_document
from failsoft.worker.cli.output import (
    console,
    in_short,
    print_table,
    show,
    unqualified,
    when,
)
from failsoft.worker.logs.visible import visible_block

#: So many lines of a traceback are shown to people, the last ones; `--json` has them all.
TRACEBACK_LINES = 12
#: Only the ledger compares it.
_NOT_SHOWN = ("claim",)


def read_story(ledger: Ledger, job_id: str) -> Story:
    """Read everything that the ledger keeps of a job."""
    job = ledger.get(job_id)
    is_served = any(
        (worker.engine, worker.queue) == (job.engine, job.queue) for worker in ledger.live_workers()
    )
    return Story(
        job,
        ledger.tries(job_id),
        ledger.attempts(job_id),
        ledger.steps(job_id),
        ledger.events(job_id),
        ledger.again(job_id),
        None if job.state.is_terminal else pause_of(job, ledger.pauses()),
        ledger.limit_uses(job.limits),
        is_served,
    )


def story_document(story: Story) -> dict[str, Any]:
    """Return the story for programs."""
    return {
        "job": job_document(story.job),
        "why": why(story),
        "next_try_at": _next_try(story.job),
        "tries": story.tries,
        "attempts": story.attempts,
        "steps": [step_document(step) for step in story.steps],
        "events": story.events,
        "again": [job_document(job) for job in story.again],
        "paused": story.pause,
        "limits": story.limits,
    }


def print_story(story: Story) -> None:
    """Print the story for people."""
    out, job = console(), story.job
    out.print(f"[bold]{show(job.name)}[/] {show(job.id)} {show(job.state)}{_on(job)}")
    for name, value in _facts(story):
        out.print(f"[dim]{name:<9}[/] {value}", soft_wrap=True)
    for use in () if job.state.is_terminal else story.limits:
        out.print(f"[yellow]{show(str(use))}[/]" if use.is_full else show(str(use)))
    _print_tables(story)
    if job.error is not None and job.error.traceback:
        out.print("[bold]Traceback[/] of the last error")
        lines = job.error.traceback.rstrip("\n").split("\n")[-TRACEBACK_LINES:]
        out.print(visible_block("\n".join(lines)), markup=False, soft_wrap=True)


def _on(job: JobRecord) -> str:
    """Say which engine has or had it; one that waits is on none."""
    is_on = job.state is not JobState.SCHEDULED and job.engine
    return f" on {show(job.engine)}" if is_on else ""


def _next_try(job: JobRecord) -> datetime | None:
    return job.run_at if job.state is JobState.SCHEDULED else None


def _facts(story: Story) -> Iterator[tuple[str, str]]:
    """Yield what one asks first, with what it is called; what there is nothing of is left out."""
    job = story.job
    yield from _state_facts(story)
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
        "again": job.retry_of and f"does the work of {job.retry_of} again",
        "parent": job.parent_id and f"invoked by {job.parent_id}",
    }
    yield from ((name, show(word)) for name, word in words.items() if word)
    for again in story.again:
        yield "again", f"tried again as {show(again.id)}, which is {show(again.state)}"


def _state_facts(story: Story) -> Iterator[tuple[str, str]]:
    if reason := why(story):
        colour = "default" if story.job.state.is_terminal else "yellow"
        yield "why", f"[{colour}]{show(reason)}[/]"
    if (next_try := _next_try(story.job)) is not None:
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
    said = [job.queue]
    said += [f"priority {job.priority}"] if job.priority else []
    said += [f"engines {', '.join(job.engines)}"] if job.engines else []
    said += [f"payload version {job.version}"] if job.version != 1 else []
    return ", ".join(said)


def _from_now(moment: datetime) -> str:
    seconds = round((moment - datetime.now(UTC)).total_seconds())
    return f"in {_span(seconds)}" if seconds > 0 else "due"


def _span(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _progress(progress: Progress) -> str:
    of = "" if progress.total is None else f" of {progress.total}"
    return f"{progress.done}{of} {progress.note}".strip()


def _print_tables(story: Story) -> None:
    print_table(
        "Dispatch",
        ("epoch", "engine", "stage", "outcome", "ms", "reason"),
        (
            (t.epoch, t.engine, t.stage, t.outcome, f"{t.elapsed * 1000:.1f}", t.reason)
            for t in story.tries
        ),
    )
    print_table(
        "Attempts",
        ("epoch", "engine", "worker", "started", "ended", "outcome", "error"),
        (_attempt(attempt) for attempt in story.attempts),
        spare=("worker", "ended"),
    )
    print_table(
        "Events",
        ("n", "at", "event", "state", "epoch", "by", "detail"),
        ((e.n, e.at, e.kind, e.state, e.epoch, e.actor, _detail(e)) for e in story.events),
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
