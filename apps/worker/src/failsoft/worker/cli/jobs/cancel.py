"""`failsoft jobs cancel`."""

from typing import Any

import click

from failsoft.job_engine.records.job import CancelOutcome
from failsoft.job_engine.records.states import JobState
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
from failsoft.worker.cli.options import actor, json_option
from failsoft.worker.cli.output import print_json, say
from failsoft.worker.cli.resources import opened_ledger
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exit_codes import FAILURE, OK

#: The states in which a cancel has an effect.
_OPEN = tuple(state for state in JobState if not state.is_terminal)
_OUTCOMES = {
    CancelOutcome.CANCELLED: "cancelled",
    CancelOutcome.REQUESTED: "runs, and stops at its next step",
    CancelOutcome.ENDED: "had ended before",
}


@click.command("cancel")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@filter_options("recorded", states=_OPEN)
@many_options
@json_option
def cancel_command(*, job_ids: tuple[str, ...], **given: Any) -> None:
    """Cancel jobs that wait, and stop those that run at their next step.

    Cancels the jobs of the given IDs, or all that the options choose, and reports each. Where one
    is refused, as an unknown ID, the others go on, and the command ends with 1.
    """
    ledger = opened_ledger(load_settings(), job_ids)
    ids = job_ids or _chosen(ledger, given)
    if job_ids and chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, got both")

    def cancel(text: str) -> tuple[str, CancelOutcome]:
        job_id = find_id(ledger, text)
        with acting(ledger, "cancel", ("job", job_id)):
            return job_id, ledger.cancel(job_id, actor())

    found, refused = for_each(ids, cancel)
    if given["as_json"]:
        print_json({"cancelled": dict(found), "refused": refused})
    else:
        for job_id, outcome in dict(found).items():
            say(f"{job_id} {_OUTCOMES[outcome]}")
        say_refusals(refused)
    raise SystemExit(FAILURE if refused else OK)


def _chosen(ledger: SqlLedger, given: dict[str, Any]) -> tuple[str, ...]:
    if not chosen_by(given):
        raise click.UsageError("expected IDs, or options that choose jobs, as --state or --name")
    found = find_many(ledger, _OPEN, given)
    if not confirm(len(found), "open job", "cancel", given):
        return ()
    return tuple(job.id for job in found)
