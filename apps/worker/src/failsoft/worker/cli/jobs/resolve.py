"""`failsoft jobs resolve`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from failsoft.dispatcher.handles.resolve import resolve
from failsoft.job_engine.errors import ResultInvalidError, StepError
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.resolution import Resolution, json_text
from failsoft.job_engine.records.states import ABANDON, ACCEPT, RESUME, JobState, Transition
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.jobs.selection import (
    chosen_by,
    confirm,
    filter_options,
    find_id,
    find_many,
    for_each,
    many_options,
    say_refusals,
)
from failsoft.worker.cli.jobs.values import job_document
from failsoft.worker.cli.options import actor, json_option, reason_option
from failsoft.worker.cli.output import counted, print_json, say
from failsoft.worker.cli.resources import loaded_catalogue, opened_ledger
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.exit_codes import FAILURE, OK


@click.command("resolve")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@filter_options("recorded")
@many_options
@click.option("--retry", is_flag=True, help="Go on; a step in doubt may begin again.")
@click.option(
    "--done",
    "done",
    metavar="STEP=JSON",
    multiple=True,
    help="Go on; this step in doubt was done and returned JSON. May be given several times.",
)
@click.option("--result", metavar="JSON", help="The job has succeeded, with this result.")
@click.option("--fail", is_flag=True, help="The job fails, with the recorded error.")
@reason_option("Why; kept in the job's history.")
@click.option("--epoch", type=int, help="Only if the job is still held at this epoch.")
@json_option
def resolve_command(job_ids: tuple[str, ...], reason: str, **given: Any) -> None:
    """Resolve held jobs: those of the given IDs, or all that the options choose.

    Give one of --retry, --done, --result and --fail; --retry and --done can be combined. Each job
    is reported. Where one of several is refused, the others go on, and the command ends with 1.
    """
    transition = _chosen(given)
    settings = load_settings()
    ledger = opened_ledger(settings, job_ids)
    done = dict(map(_step, given["done"]))
    resolution = Resolution(transition, actor(), reason, None, done)
    deciding = _Deciding(settings, ledger, resolution, given["result"], given["epoch"])
    if len(job_ids) == 1 and not chosen_by(given):
        job = deciding.decide(job_ids[0])
        if given["as_json"]:
            print_json(job_document(job))
        else:
            say(f"{job.id} is {job.state}", "green")
        return
    _resolve_many(deciding, job_ids or _held(ledger, given), given)


@dataclass(frozen=True, slots=True)
class _Deciding:
    settings: Settings
    ledger: SqlLedger
    resolution: Resolution
    result: str | None
    epoch: int | None

    def decide(self, given: str) -> JobRecord:
        """Resolve the job of an id, or of the beginning of one."""
        job_id, resolution = find_id(self.ledger, given), self.resolution
        if self.result is not None:
            name = self.ledger.get(job_id).name
            resolution = replace(resolution, result=_result(self.settings, name, self.result))
        target, reason = ("job", job_id), resolution.reason
        with acting(self.ledger, resolution.transition.name, target, reason):
            return resolve(self.ledger, job_id, resolution, self.epoch)


def _held(ledger: SqlLedger, given: Mapping[str, Any]) -> Sequence[str]:
    if not chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, as --name or --error")
    found = find_many(ledger, (JobState.HELD,), given)
    return [job.id for job in found] if confirm(len(found), "held job", "resolve", given) else []


def _resolve_many(deciding: _Deciding, ids: Sequence[str], given: Mapping[str, Any]) -> None:
    resolved, refused = for_each(ids, deciding.decide)
    if given["as_json"]:
        print_json({"resolved": {job.id: job.state for job in resolved}, "refused": refused})
    else:
        for job in resolved:
            say(f"{job.id} is {job.state}")
        say_refusals(refused)
        say(f"{counted(len(resolved), 'job')} resolved", "green")
    raise SystemExit(FAILURE if refused else OK)


def _chosen(given: Mapping[str, Any]) -> Transition:
    ways = {
        RESUME: given["retry"] or bool(given["done"]),
        ACCEPT: given["result"] is not None,
        ABANDON: given["fail"],
    }
    chosen = [transition for transition, is_chosen in ways.items() if is_chosen]
    if len(chosen) != 1:
        raise click.UsageError("expected one of --retry (or --done), --result and --fail")
    return chosen[0]


def _step(text: str) -> tuple[str, str]:
    name, separator, result = text.partition("=")
    try:
        return name, json_text(result if separator else "")
    except (StepError, ResultInvalidError) as error:
        raise click.UsageError(f"--done {text!r}: {error}") from None


def _result(settings: Settings, name: str, text: str) -> str:
    try:
        given = json_text(text)
        catalogue = loaded_catalogue(settings)
        if name not in catalogue:
            # The type of the job's result is unknown here: any JSON is accepted.
            return given
        result = catalogue.get(name).result
        return result.encode(result.decode(given))
    except (StepError, ResultInvalidError) as error:
        raise click.UsageError(f"--result: {error}") from None
