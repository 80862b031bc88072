"""`understudy jobs list|show|steps`, and what people do to jobs."""

from collections.abc import Iterable

import click

from understudy.job_engine.pause import pause_of
from understudy.job_engine.records import (
    AttemptRecord,
    DispatchTry,
    EventRecord,
    JobRecord,
    Progress,
)
from understudy.job_engine.states import JobState
from understudy.ledger import SqlLedger
from understudy.worker.cli.opening import opened_ledger
from understudy.worker.cli.output import (
    console,
    counted,
    json_option,
    print_json,
    print_table,
    show,
)
from understudy.worker.cli.pausing import pause_command, resume_command
from understudy.worker.cli.resolve import resolve_command
from understudy.worker.cli.retry import cancel_command, retry_command
from understudy.worker.settings import load_settings


def _ledger() -> SqlLedger:
    return opened_ledger(load_settings())


@click.group()
def jobs() -> None:
    """Look at jobs: what they are, where they ran, and why there; decide what becomes of them."""


jobs.add_command(resolve_command)
jobs.add_command(retry_command)
jobs.add_command(cancel_command)
jobs.add_command(pause_command("job", "job of the definition"))
jobs.add_command(resume_command("job", "jobs of the definition"))


@jobs.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in JobState]),
    help="Only jobs in this state; may be given several times.",
)
@click.option("--queue", help="Only jobs of this queue.")
@click.option("--name", help="Only jobs of this definition.")
@click.option(
    "--limit",
    default=50,
    type=click.IntRange(1, 10_000),
    show_default=True,
    help="How many at most.",
)
@json_option
def list_command(
    *, states: tuple[str, ...], queue: str | None, name: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, the newest first."""
    found = _ledger().list_jobs(
        states=[JobState(state) for state in states], queue=queue, name=name, limit=limit
    )
    if as_json:
        print_json(found)
        return
    print_table(
        counted(len(found), "job"),
        ("id", "job", "queue", "state", "engine", "epoch", "attempts", "created"),
        (
            (j.id, j.name, j.queue, j.state, j.engine, j.epoch, j.claims, j.created_at)
            for j in found
        ),
        spare=("queue", "epoch", "attempts"),
    )


@jobs.command("show")
@click.argument("job_id")
@json_option
def show_command(job_id: str, as_json: bool) -> None:
    """Show a job: what it is, every dispatch try, every attempt, every event."""
    ledger = _ledger()
    job = ledger.get(job_id)
    tries, attempts = ledger.tries(job_id), ledger.attempts(job_id)
    events, steps = ledger.events(job_id), ledger.steps(job_id)
    if as_json:
        story = {"tries": tries, "attempts": attempts, "steps": steps, "events": events}
        relations = {"again": ledger.again(job_id), "paused": pause_of(job, ledger.pauses())}
        limits = ledger.limit_uses(job.limits)
        print_json({"job": job, **story, **relations, "limits": limits})
        return
    console().print(
        f"[bold]{show(job.name)}[/] {show(job.id)} {show(job.state)} on {show(job.engine)}"
    )
    if job.error is not None:
        console().print(f"[red]{show(job.error.type)}: {show(job.error.message)}[/]")
    if job.progress is not None:
        console().print(f"progress: {show(_progress(job.progress))}")
    _print_relations(ledger, job)
    _print_story(tries, attempts, events)


def _print_relations(ledger: SqlLedger, job: JobRecord) -> None:
    if job.origin is not None:
        console().print(f"does the work of {show(job.origin)} again")
    for again in ledger.again(job.id):
        console().print(f"tried again as {show(again.id)}, which is {show(again.state)}")
    for use in () if job.state.is_terminal else ledger.limit_uses(job.limits):
        console().print(f"[yellow]{show(str(use))}[/]" if use.is_full else show(str(use)))
    pause = pause_of(job, ledger.pauses())
    if pause is not None and not job.state.is_terminal:
        console().print(f"[yellow]{show(str(pause))}[/]")


def _progress(progress: Progress) -> str:
    of = "" if progress.total is None else f" of {progress.total}"
    return f"{progress.done}{of} {progress.note}".strip()


def _print_story(
    tries: Iterable[DispatchTry], attempts: Iterable[AttemptRecord], events: Iterable[EventRecord]
) -> None:
    print_table(
        "Dispatch",
        ("epoch", "engine", "stage", "outcome", "ms", "reason"),
        (
            (t.epoch, t.engine, t.stage, t.outcome, f"{t.elapsed * 1000:.1f}", t.reason)
            for t in tries
        ),
    )
    print_table(
        "Attempts",
        ("epoch", "engine", "worker", "started", "ended", "outcome"),
        ((a.epoch, a.engine, a.worker, a.started_at, a.ended_at, a.outcome) for a in attempts),
    )
    print_table(
        "Events",
        ("n", "at", "event", "state", "epoch", "by", "detail"),
        ((e.n, e.at, e.kind, e.state, e.epoch, e.actor, e.detail) for e in events),
    )


@jobs.command("steps")
@click.argument("job_id")
@json_option
def steps_command(job_id: str, as_json: bool) -> None:
    """Show the recorded steps of a job and their results."""
    ledger = _ledger()
    ledger.get(job_id)
    steps = ledger.steps(job_id)
    if as_json:
        print_json(steps)
        return
    print_table(
        counted(len(steps), "step"),
        ("place", "step", "kind", "epoch", "recorded", "result"),
        ((s.seq, s.name, s.kind, s.epoch, s.recorded_at, s.result) for s in steps),
    )
