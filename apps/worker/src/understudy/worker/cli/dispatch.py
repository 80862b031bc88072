"""`understudy dispatch NAME JSON`."""

import json

import click
from pydantic import ValidationError

from understudy.dispatcher import DispatchOptions
from understudy.job_engine.codec import describe
from understudy.job_engine.errors import PayloadInvalidError
from understudy.worker.cli.output import json_option, plain, print_json
from understudy.worker.settings import load_settings
from understudy.worker.wiring import build, load_catalogue


@click.command()
@click.argument("name")
@click.argument("payload", metavar="JSON")
@click.option("--key", "idempotency_key", help="Make no second job for the same key.")
@click.option("--job-id", help="The job's id; a new one where absent.")
@click.option("--wait", is_flag=True, help="Wait for the result and print it.")
@json_option
def dispatch(
    *,
    name: str,
    payload: str,
    idempotency_key: str | None,
    job_id: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Dispatch the job NAME with the payload JSON."""
    settings = load_settings()
    definition = load_catalogue(settings).get(name)
    try:
        model = definition.payload_type.model_validate_json(payload)
    except ValidationError as error:
        raise PayloadInvalidError(
            f"expected JSON that fits {definition.payload_type.__name__}, got: {describe(error)}"
        ) from None
    options = DispatchOptions()
    if idempotency_key is not None:
        options["idempotency_key"] = idempotency_key
    if job_id is not None:
        options["job_id"] = job_id
    dispatcher = build(settings).dispatcher
    handle = dispatcher.dispatch(definition, model, **options)
    dispatcher.close()
    found = {"id": handle.id, "created": handle.created, "state": handle.dispatched.state}
    found |= {"engine": handle.dispatched.engine, "epoch": handle.dispatched.epoch}
    if wait:
        found["result"] = plain(json.loads(definition.result.encode(handle.result())))
    if as_json:
        print_json(found)
        return
    engine = handle.dispatched.engine or "nobody yet"
    click.secho(f"{handle.id} {handle.dispatched.state} to {engine}", fg="green")
    if wait:
        click.echo(json.dumps(found["result"]))
