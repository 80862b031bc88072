"""`understudy events send`."""

import json

import click

from understudy.dispatcher.sending import new_event
from understudy.job_engine.errors import PayloadInvalidError
from understudy.worker.cli.opening import opened_ledger
from understudy.worker.cli.output import json_option, print_json, say
from understudy.worker.settings import load_settings


@click.group()
def events() -> None:
    """Send the events that jobs wait for."""


@events.command("send")
@click.argument("name")
@click.argument("payload", metavar="JSON", default="null")
@click.option("--job", "job_id", help="The job it is for.")
@click.option("--key", help="Or a key: every job that waits under it receives the event.")
@click.option("--id", "event_id", help="Sending the same id again is harmless.")
@json_option
def send_command(
    *,
    name: str,
    payload: str,
    job_id: str | None,
    key: str | None,
    event_id: str | None,
    as_json: bool,
) -> None:
    """Send the event NAME that says JSON."""
    try:
        said = json.loads(payload)
    except ValueError as error:
        raise PayloadInvalidError(f"expected JSON, got {payload!r}: {error}") from None
    event = new_event(name, said, to=job_id, key=key, event_id=event_id, keep=None)
    woken = opened_ledger(load_settings()).send(event)
    if as_json:
        print_json({"id": event.id, "woken": woken})
        return
    say(f"{event.id} sent, {woken} woken", "green")
