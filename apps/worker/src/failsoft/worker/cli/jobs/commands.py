"""`failsoft jobs`: list, show and steps; the other commands are added from their modules."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import click

from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.ports.console import MOST_ON_A_PAGE
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.jobs.cancel import cancel_command
from failsoft.worker.cli.jobs.page import print_report, read_report, report_document
from failsoft.worker.cli.jobs.resolve import resolve_command
from failsoft.worker.cli.jobs.retry import retry_command
from failsoft.worker.cli.jobs.selection import chosen_by, filter_options, find_id, hints
from failsoft.worker.cli.jobs.values import in_json, job_document, step_document
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import counted, print_json, print_table, say
from failsoft.worker.cli.pause import pause_command, resume_command
from failsoft.worker.cli.resources import loaded_catalogue, opened_ledger
from failsoft.worker.configuration.settings import Settings, load_settings

#: The longest payload in a list, in characters.
BRIEF = 60
#: The columns of a list that a narrow terminal leaves out.
_SPARE = ("queue", "engine", "tries", "due", "key", "tags", "payload")


def _ledger(about: str) -> SqlLedger:
    return opened_ledger(load_settings(), [about])


@click.group()
def jobs() -> None:
    """Show jobs, their attempts and their history; retry, resolve, cancel, pause them.

    The beginning of an ID is enough, from 4 characters on, where no other job's ID has it.
    """


jobs.add_command(resolve_command)
jobs.add_command(retry_command)
jobs.add_command(cancel_command)
jobs.add_command(pause_command("job", "job of the definition"))
jobs.add_command(resume_command("job", "jobs of the definition"))


@jobs.command("list")
@filter_options("recorded", states=tuple(JobState))
@click.option("--after", metavar="CURSOR", help="Go on after a list, with the cursor it ends with.")
@click.option(
    "--limit",
    default=50,
    type=click.IntRange(1, 10_000),
    show_default=True,
    help="How many at most.",
)
@json_option
def list_command(*, limit: int, as_json: bool, **given: Any) -> None:
    """List jobs, the newest first.

    Failed jobs alone, and cancelled ones alone, come in the order of their ends.
    """
    settings, wanted = load_settings(), chosen_by(given)
    ledger = opened_ledger(settings)
    found, after = _found(ledger, cast("JobFilter", wanted), given["after"], limit)
    if as_json:
        print_json([job_document(job) for job in found])
    else:
        _print_jobs(found)
    if after is not None:
        say(f"there may be more: --after {after}", err=True)
    if not found:
        _hint(settings, ledger, given)


def _found(
    ledger: SqlLedger, wanted: JobFilter, after: str | None, limit: int
) -> tuple[Sequence[JobRecord], str | None]:
    """Return the jobs of so many pages as the limit needs, and the cursor of what comes next."""
    found: list[JobRecord] = []
    while True:
        page = ledger.find(wanted, after, min(limit - len(found), MOST_ON_A_PAGE))
        found += ledger.records([each.id for each in page.items])
        after = page.after
        if after is None or page.looked_through or len(found) >= limit:
            return found, after


def _print_jobs(found: Sequence[JobRecord]) -> None:
    print_table(
        counted(len(found), "job"),
        ("id", "job", "state", "created", *_SPARE),
        (
            (
                *(j.id, j.name, j.state, j.created_at, j.queue, j.engine, j.claims),
                *(j.run_at, j.idempotency_key, ", ".join(j.tags), _brief(j.payload)),
            )
            for j in found
        ),
        spare=_SPARE,
    )


def _brief(payload: str) -> str:
    text = in_json(payload) or ""
    return text if len(text) <= BRIEF else f"{text[: BRIEF - 3]}..."


def _hint(settings: Settings, ledger: SqlLedger, given: Mapping[str, Any]) -> None:
    """Print which names may be misspelled, where nothing was found."""
    if given.get("name") or given.get("queue"):
        names = [definition.name for definition in loaded_catalogue(settings)]
        known = {"name": names, "queue": list(declared_queues())}
        for hint in hints(ledger, given, known):
            say(hint, "yellow", err=True)


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@json_option
def show_command(job_id: str, as_json: bool) -> None:
    """Show a job: its state and why, its payload, when it is tried next, and its whole history.

    Passwords of URLs, and fields of the payload and the result that are named like secrets, are
    masked. With --json the traceback of every attempt's error is there, too.
    """
    ledger = _ledger(job_id)
    report = read_report(ledger, find_id(ledger, job_id))
    if as_json:
        print_json(report_document(report))
    else:
        print_report(report)


@jobs.command("steps")
@click.argument("job_id", metavar="ID")
@json_option
def steps_command(job_id: str, as_json: bool) -> None:
    """Show the recorded steps of a job and their results."""
    ledger = _ledger(job_id)
    steps = ledger.steps(find_id(ledger, job_id))
    if as_json:
        print_json([step_document(step) for step in steps])
        return
    print_table(
        counted(len(steps), "step"),
        ("place", "step", "kind", "epoch", "recorded", "result"),
        ((s.seq, s.name, s.kind, s.epoch, s.recorded_at, in_json(s.result)) for s in steps),
        spare=("epoch",),
    )
