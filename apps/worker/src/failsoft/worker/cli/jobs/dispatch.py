"""`failsoft dispatch NAME JSON`."""

import json
from datetime import timedelta
from typing import Any

import click

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.worker.cli.jobs.dispatch_options import dispatch_options, options_of
from failsoft.worker.cli.jobs.retry import payload_of
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import print_json, say, when
from failsoft.worker.cli.resources import loaded_catalogue, opened_dispatcher
from failsoft.worker.configuration.settings import load_settings


@click.command()
@click.argument("name")
@click.argument("payload", metavar="JSON")
@dispatch_options
@click.option("--wait", is_flag=True, help="Wait for the result and print it.")
@duration_option("--timeout", default="30s", text="How long to wait for it.")
@json_option
def dispatch(
    *, name: str, payload: str, wait: bool, timeout: timedelta, as_json: bool, **options: Any
) -> None:
    """Dispatch the job NAME with the payload JSON.

    The options are those of `dispatch_job`; a moment is written as in ISO 8601, in local time
    unless it has a zone.
    """
    settings = load_settings()
    definition = loaded_catalogue(settings.by_ledger()[0]).get(name)
    model = payload_of(definition, payload)
    dispatcher = opened_dispatcher(settings)
    handle = dispatcher.dispatch(definition, model, **options_of(options))
    job = handle.dispatched
    found: dict[str, object] = {"id": job.id, "created": handle.created, "state": job.state}
    found |= {"engine": job.engine, "epoch": job.epoch, "run_at": job.run_at}
    if wait:
        found["result"] = json.loads(definition.result.encode(handle.result(timeout)))
    if as_json:
        print_json(found)
        return
    known = "" if handle.created else f", {handle.disposition}"
    say(f"{job.id} {_place(job)}{known}", "green")
    if wait:
        say(json.dumps(found["result"]))


def _place(job: JobRecord) -> str:
    """Return where the job is; a scheduled job is on no engine, whatever was tried."""
    if job.state is not JobState.SCHEDULED:
        return f"{job.state} to {job.engine}" if job.state is JobState.OFFERED else str(job.state)
    if job.epoch:
        return f"{job.state}: parked, no engine took it; it is tried again by itself"
    return f"{job.state}, due {when(job.run_at)}" if job.run_at else str(job.state)
