"""`failsoft jobs cancel`."""

from typing import Any

import click

from failsoft.dispatcher.handles.retry import RetryRefusal
from failsoft.job_engine.records.job import CancelOutcome
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.actor import actor
from failsoft.worker.cli.jobs.selection import (
    REFUSALS,
    chosen_by,
    confirm,
    filter_options,
    find_id,
    find_many,
    many_options,
    say_refusals,
)
from failsoft.worker.cli.output import json_option, print_json, say
from failsoft.worker.cli.resources import opened_ledger
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exit_codes import FAILURE, OK

#: The states that a cancel changes something in.
_OPEN = tuple(state for state in JobState if not state.is_terminal)
_TOLD = {
    CancelOutcome.CANCELLED: "cancelled",
    CancelOutcome.REQUESTED: "runs, and was asked to stop at its next step",
    CancelOutcome.ENDED: "had ended before",
}


@click.command("cancel")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@filter_options("recorded", states=_OPEN)
@many_options
@json_option
def cancel_command(*, job_ids: tuple[str, ...], **given: Any) -> None:
    """Cancel jobs that wait, and ask those that run to stop at their next step.

    Those of the given IDs, or all that the options choose. Each is reported. Where one is refused,
    as an ID that is not there, the others go on, and the command ends with 1.
    """
    ledger = opened_ledger(load_settings())
    ids = job_ids or _chosen(ledger, given)
    if job_ids and chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, got both")
    found, refused = _cancelled(ledger, ids)
    if given["as_json"]:
        print_json({"cancelled": found, "refused": refused})
    else:
        for job_id, outcome in found.items():
            say(f"{job_id} {_TOLD[outcome]}")
        say_refusals(refused)
    raise SystemExit(FAILURE if refused else OK)


def _chosen(ledger: SqlLedger, given: dict[str, Any]) -> tuple[str, ...]:
    if not chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, as --state or --name")
    found = find_many(ledger, _OPEN, given)
    if not confirm(len(found), "open job", "cancel", given):
        return ()
    return tuple(job.id for job in found)


def _cancelled(
    ledger: SqlLedger, ids: tuple[str, ...]
) -> tuple[dict[str, CancelOutcome], list[RetryRefusal]]:
    found: dict[str, CancelOutcome] = {}
    refused: list[RetryRefusal] = []
    for given in ids:
        try:
            job_id = find_id(ledger, given)
            found[job_id] = ledger.cancel(job_id, actor())
        except REFUSALS as error:
            refused.append(RetryRefusal.of(given, error))
    return found, refused
