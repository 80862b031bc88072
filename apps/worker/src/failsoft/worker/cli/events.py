"""`failsoft events send`."""

import json
from datetime import timedelta

import click

from failsoft.dispatcher.dispatching.send_event import new_event
from failsoft.job_engine.errors import JobStateError, PayloadInvalidError
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.jobs.selection import find_id
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import answer
from failsoft.worker.cli.resources import opened_ledger
from failsoft.worker.configuration.settings import load_settings


@click.group()
def events() -> None:
    """Send the events that jobs wait for."""


@events.command("send")
@click.argument("name")
@click.argument("payload", metavar="JSON", default="null")
@click.option("--job", "job_id", metavar="ID", help="The job it is for.")
@click.option("--key", help="Or a key: every job that waits under it receives the event.")
@duration_option(
    "--keep", text="How long it is kept for jobs that do not wait yet; 7 days where absent."
)
@click.option("--id", "event_id", help="Sending the same id again is harmless.")
@json_option
def send_command(
    *,
    name: str,
    payload: str,
    job_id: str | None,
    key: str | None,
    event_id: str | None,
    keep: timedelta | None,
    as_json: bool,
) -> None:
    """Send the event NAME with the payload JSON."""
    try:
        decoded = json.loads(payload)
    except ValueError as error:
        raise PayloadInvalidError(f"expected JSON, got {payload!r}: {error}") from None
    ledger = opened_ledger(load_settings(), [job_id] if job_id else ())
    to = None if job_id is None else _open_job(ledger, job_id)
    event = new_event(name, decoded, to=to, key=key, event_id=event_id, keep=keep)
    woken = ledger.send(event)
    kept = "" if woken else "; it is kept for a job that will wait for it"
    found = {"id": event.id, "job": to, "woken": woken}
    answer(found, f"{event.id} sent, {woken} woken{kept}", "green", as_json=as_json)


def _open_job(ledger: SqlLedger, given: str) -> str:
    """Return the id of a job that can receive an event.

    Raises:
        JobNotFoundError: If there is none.
        JobStateError: If it has ended: nothing would ever receive it.
    """
    job = ledger.get(find_id(ledger, given))
    if job.state.is_terminal:
        raise JobStateError(
            f"expected a job that has not ended, got job {job.id}, which is {job.state}"
        )
    return job.id
