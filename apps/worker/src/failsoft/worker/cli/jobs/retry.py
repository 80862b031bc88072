"""`failsoft jobs retry`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from failsoft.dispatcher.handles.retry import RetryReport, retry, retry_each
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import PayloadInvalidError
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.manual_retry import MOST, DeadLetters
from failsoft.job_engine.values.codec import describe
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.jobs.selection import (
    chosen_by,
    confirm,
    filter_options,
    find_id,
    for_each,
    many_options,
    mentions,
    say_refusals,
)
from failsoft.worker.cli.options import actor, json_option, reason_option
from failsoft.worker.cli.output import counted, print_json, say
from failsoft.worker.cli.resources import loaded_catalogue, opened_ledger
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.exit_codes import FAILURE, OK

#: The progress is printed after this number of jobs.
_PROGRESS_EVERY = 100
#: So many of the jobs that are retried together are named in the audit.
_NAMED = 20


@click.command("retry")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@filter_options("failed")
@many_options
@click.option("--from-step", help="Replay from this step; also what succeeded or was cancelled.")
@click.option("--payload", metavar="JSON", help="Start anew, with another payload.")
@reason_option("Why; kept in the new job's history.")
@json_option
def retry_command(job_ids: tuple[str, ...], **given: Any) -> None:
    """Retry failed jobs: those of the given IDs, or all that the options choose.

    Each becomes a new job that goes on after the last finished step of the old one, which stays
    as it ended. A job that has been retried before is not retried again. Where one is refused, as
    a job whose unique key another one holds, the others go on, and the command ends with 1.
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
    say_refusals(report.refused)
    for job_id in report.skipped:
        say(f"{job_id} was left out: it is gone, or has not failed any more")
    say(f"{counted(len(report.retried), 'job')} tried again", "green")


def _retry_many(ledger: SqlLedger, given: dict[str, Any]) -> RetryReport:
    if not chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, as --name or --since")
    if given["from_step"] or given["payload"]:
        raise click.UsageError("expected IDs with --from-step and --payload")
    ids = _dead_letters(ledger, given)
    if not confirm(len(ids), "failed job", "try again", given):
        ids = ()

    def on_progress(done: int, of: int) -> None:
        if not given["as_json"] and done % _PROGRESS_EVERY == 0:
            say(f"{done} of {of}", err=True)

    reason = given["reason"]
    # Of many it is one action, recorded with the first of them.
    many = ("job", counted(len(ids), "failed job"))
    with acting(ledger, "retry", many, reason, first=list(ids[:_NAMED])):
        return retry_each(ledger, ids, reason=reason, actor=actor(), on_progress=on_progress)


def _dead_letters(ledger: SqlLedger, given: dict[str, Any]) -> Sequence[str]:
    since: datetime | None = given["since"]
    recent = None if since is None else datetime.now(UTC) - since
    found = ledger.dead_letters(DeadLetters(given["name"], given["queue"], recent, MOST))
    if any(given[name] for name in ("tag", "key", "until", "error")):
        found = [job_id for job_id in found if _is_meant(ledger, ledger.get(job_id), given)]
    return found[: given["limit"]]


def _is_meant(ledger: SqlLedger, job: JobRecord, given: dict[str, Any]) -> bool:
    tag, until, text = given["tag"], given["until"], given["error"]
    return (
        (tag is None or tag in job.tags)
        and given["key"] in (None, job.idempotency_key)
        and (until is None or job.finished_at is None or job.finished_at < until)
        and (not text or mentions(ledger, job, text))
    )


def _retry_these(settings: Settings, ids: tuple[str, ...], given: dict[str, Any]) -> RetryReport:
    if chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, got both")
    ledger = opened_ledger(settings, ids)
    options: dict[str, Any] = {name: given[name] for name in ("from_step", "reason")}

    def retry_one(text: str) -> tuple[str, str]:
        job_id = find_id(ledger, text)
        if given["payload"] is not None:
            definition = loaded_catalogue(settings).get(ledger.get(job_id).name)
            options["definition"] = definition
            options["payload"] = payload_of(definition, given["payload"])
        with acting(ledger, "retry", ("job", job_id), given["reason"]):
            return job_id, retry(ledger, job_id, actor=actor(), **options).id

    retried, refused = for_each(ids, retry_one)
    return RetryReport(tuple(retried), (), tuple(refused))


def payload_of(definition: AnyDefinition, text: str) -> BaseModel:
    """Read a payload from the command line.

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
