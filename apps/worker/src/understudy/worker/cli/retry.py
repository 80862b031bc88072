"""`understudy jobs retry` and `understudy jobs cancel`."""

from typing import Any

import click
from pydantic import BaseModel, ValidationError

from understudy.dispatcher.retrying import RetryRefusal, RetryReport, retry, retry_many
from understudy.job_engine.codec import describe
from understudy.job_engine.definition import AnyDefinition
from understudy.job_engine.errors import (
    JobNotFoundError,
    JobStateError,
    PayloadInvalidError,
    StepError,
)
from understudy.job_engine.records import CancelOutcome
from understudy.job_engine.retrial import MOST, DeadLetters
from understudy.ledger import SqlLedger
from understudy.worker.cli.actor import actor
from understudy.worker.cli.durations import duration
from understudy.worker.cli.opening import opened_ledger
from understudy.worker.cli.output import counted, json_option, print_json, say
from understudy.worker.exits import FAILURE, OK
from understudy.worker.settings import Settings, load_settings
from understudy.worker.wiring import load_catalogue

_TOLD_EVERY = 100


@click.command("retry")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--name", help="Every failed job of this definition.")
@click.option("--queue", help="Every failed job of this queue.")
@click.option(
    "--since", metavar="DURATION", callback=duration, help="Only those that failed so recently."
)
@click.option(
    "--limit", default=MOST, show_default=True, type=click.IntRange(1), help="How many at most."
)
@click.option("--from-step", help="Replay from this step; also what succeeded or was cancelled.")
@click.option("--payload", metavar="JSON", help="Start anew, with another payload.")
@click.option("--reason", default="", help="Why; kept in the new job's history.")
@json_option
def retry_command(job_ids: tuple[str, ...], **given: Any) -> None:
    """Do the work of failed jobs again: those of the given IDs, or all that the options choose.

    Each becomes a new job that goes on after the last finished step of the old one, which stays
    as it ended. What has been tried again before is not tried a second time. Where one is refused,
    as a job whose unique key another one holds, the others go on, and the command ends with 1.
    """
    settings = load_settings()
    if job_ids:
        report = _retry_these(settings, job_ids, given)
    else:
        report = _retry_many(opened_ledger(settings), given)
    if given["as_json"]:
        print_json(report)
    else:
        _print_report(report)
    raise SystemExit(FAILURE if report.refused else OK)


def _print_report(report: RetryReport) -> None:
    for old, new in report.retried:
        say(f"{old} -> {new}")
    for refusal in report.refused:
        say(f"{refusal.error}: {refusal.reason}", "red", err=True)
    say(f"{counted(len(report.retried), 'job')} tried again", "green")


def _retry_many(ledger: SqlLedger, given: dict[str, Any]) -> RetryReport:
    chosen = {name: given[name] for name in ("name", "queue", "since")}
    if not any(chosen.values()):
        raise click.UsageError("expected IDs, or --name, --queue or --since")
    if given["from_step"] or given["payload"]:
        raise click.UsageError("expected IDs with --from-step and --payload")

    def tell(done: int, of: int) -> None:
        if not given["as_json"] and (done % _TOLD_EVERY == 0):
            say(f"{done} of {of}", err=True)

    wanted = DeadLetters(**chosen, limit=given["limit"])
    return retry_many(ledger, wanted, reason=given["reason"], actor=actor(), told=tell)


def _retry_these(settings: Settings, ids: tuple[str, ...], given: dict[str, Any]) -> RetryReport:
    if any(given[name] for name in ("name", "queue", "since")):
        raise click.UsageError("expected IDs, or --name, --queue and --since, got both")
    ledger, retried, refused = opened_ledger(settings), [], []
    told: dict[str, Any] = {"actor": actor()}
    told |= {name: given[name] for name in ("from_step", "reason")}
    for job_id in ids:
        try:
            if given["payload"] is not None:
                definition = load_catalogue(settings).get(ledger.get(job_id).name)
                told["definition"] = definition
                told["payload"] = payload_of(definition, given["payload"])
            retried.append((job_id, retry(ledger, job_id, **told).id))
        except (JobNotFoundError, JobStateError, StepError) as error:
            refused.append(RetryRefusal.of(job_id, error))
    return RetryReport(tuple(retried), (), tuple(refused))


def payload_of(definition: AnyDefinition, text: str) -> BaseModel:
    """Read a payload that a person typed.

    Raises:
        PayloadInvalidError: If it does not fit the definition's model.
    """
    try:
        payload: BaseModel = definition.payload_type.model_validate_json(text)
    except ValidationError as error:
        raise PayloadInvalidError(
            f"expected JSON that fits {definition.payload_type.__name__}, got: {describe(error)}"
        ) from None
    return payload


_TOLD = {
    CancelOutcome.CANCELLED: "cancelled",
    CancelOutcome.REQUESTED: "runs, and was asked to stop at its next step",
    CancelOutcome.ENDED: "had ended before",
}


@click.command("cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@json_option
def cancel_command(*, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel jobs that wait, and ask those that run to stop at their next step."""
    ledger = opened_ledger(load_settings())
    found = {job_id: ledger.cancel(job_id, actor()) for job_id in job_ids}
    if as_json:
        print_json(found)
        return
    for job_id, outcome in found.items():
        say(f"{job_id} {_TOLD[outcome]}")
