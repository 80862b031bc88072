"""`understudy jobs resolve ID`."""

from collections.abc import Mapping
from typing import Any

import click

from understudy.dispatcher.resolving import resolve
from understudy.job_engine.errors import ResultInvalidError, StepError
from understudy.job_engine.resolution import Resolution, json_text
from understudy.job_engine.states import ABANDON, ACCEPT, RESUME, Transition
from understudy.worker.cli.actor import actor
from understudy.worker.cli.opening import opened_ledger
from understudy.worker.cli.output import json_option, print_json, say
from understudy.worker.settings import Settings, load_settings
from understudy.worker.wiring import load_catalogue


@click.command("resolve")
@click.argument("job_id")
@click.option("--retry", is_flag=True, help="Go on; a step in doubt may begin again.")
@click.option(
    "--done",
    "done",
    metavar="STEP=JSON",
    multiple=True,
    help="Go on; this step in doubt was done and returned JSON. May be given several times.",
)
@click.option("--result", metavar="JSON", help="The job has succeeded, with this result.")
@click.option("--fail", is_flag=True, help="Give it up: it fails with the recorded error.")
@click.option("--reason", default="", help="Why; kept in the job's history.")
@click.option("--epoch", type=int, help="Only if the job is still held at this epoch.")
@json_option
def resolve_command(job_id: str, reason: str, epoch: int | None, **given: Any) -> None:
    """Decide what becomes of the held job ID.

    Say one of --retry, --done, --result and --fail; --retry and --done may stand together.
    """
    transition = _chosen(given)
    settings = load_settings()
    ledger = opened_ledger(settings)
    result = given["result"]
    if result is not None:
        result = _result(settings, ledger.get(job_id).name, result)
    done = dict(map(_step, given["done"]))
    resolution = Resolution(transition, actor(), reason, result, done)
    job = resolve(ledger, job_id, resolution, epoch)
    if given["as_json"]:
        print_json(job)
    else:
        say(f"{job.id} is {job.state}", "green")


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
        catalogue = load_catalogue(settings)
        if name not in catalogue:
            # What the job returns is not known here; any JSON may be it.
            return given
        result = catalogue.get(name).result
        return result.encode(result.decode(given))
    except (StepError, ResultInvalidError) as error:
        raise click.UsageError(f"--result: {error}") from None
