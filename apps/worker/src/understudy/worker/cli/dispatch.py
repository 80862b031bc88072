"""`understudy dispatch NAME JSON`."""

import json
from collections.abc import Mapping
from datetime import timedelta

import click

from understudy.dispatcher import DispatchOptions
from understudy.worker.cli.durations import duration
from understudy.worker.cli.opening import opened_app
from understudy.worker.cli.output import json_option, print_json, say
from understudy.worker.cli.retry import payload_of
from understudy.worker.settings import load_settings
from understudy.worker.wiring import load_catalogue


@click.command()
@click.argument("name")
@click.argument("payload", metavar="JSON")
@click.option("--key", "idempotency_key", help="Make no second job for the same key.")
@click.option("--job-id", help="The job's id; a new one where absent.")
@click.option("--wait", is_flag=True, help="Wait for the result and print it.")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=duration,
    default="30s",
    show_default=True,
    help="How long to wait for it.",
)
@json_option
def dispatch(
    *, name: str, payload: str, wait: bool, timeout: timedelta, as_json: bool, **options: str | None
) -> None:
    """Dispatch the job NAME with the payload JSON."""
    settings = load_settings()
    definition = load_catalogue(settings).get(name)
    model = payload_of(definition, payload)
    dispatcher = opened_app(settings).dispatcher
    handle = dispatcher.dispatch(definition, model, **_given(options))
    job = handle.dispatched
    found: dict[str, object] = {"id": job.id, "created": handle.created, "state": job.state}
    found |= {"engine": job.engine, "epoch": job.epoch}
    if wait:
        found["result"] = json.loads(definition.result.encode(handle.result(timeout)))
    if as_json:
        print_json(found)
        return
    say(f"{job.id} {job.state} to {job.engine or 'nobody yet'}", "green")
    if wait:
        say(json.dumps(found["result"]))


def _given(options: Mapping[str, str | None]) -> DispatchOptions:
    chosen = DispatchOptions()
    if (key := options["idempotency_key"]) is not None:
        chosen["idempotency_key"] = key
    if (job_id := options["job_id"]) is not None:
        chosen["job_id"] = job_id
    return chosen
