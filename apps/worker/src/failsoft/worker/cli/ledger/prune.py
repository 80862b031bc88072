"""`failsoft ledger prune`."""

from collections.abc import Mapping
from contextlib import closing

import click

from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.jobs.scheduled.prune_ledger import (
    LedgerPruner,
    Pruning,
    prunable,
    prune,
    prune_groups,
    prune_keys,
    prune_outbox,
    pruning_dead_letters,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger, check
from failsoft.ledger.upkeep.pruning import SqlPruner
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import print_json, print_table, say
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.logs.output import log_event
from failsoft.worker.wiring import open_database

#: In the order of their pruning: dead letters last.
_ENDED = (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED)

Counts = Mapping[str, Mapping[str, int]]


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Count what would be deleted, and delete nothing.")
@click.option(
    "--batch", default=500, show_default=True, type=click.IntRange(1, 500), help="Jobs at once."
)
@json_option
def prune_command(*, dry_run: bool, batch: int, as_json: bool) -> None:
    """Delete ended jobs whose retention is over.

    Each definition sets the retention by `keep_succeeded` and `keep_failed`. Jobs of definitions
    that are unknown here are kept. A group is deleted with the last of its jobs, a key when its
    time is over; signing keys that have ended are deleted, too, and records of the outbox a day
    after they were published. Jobs are deleted in small batches, so that other writers never wait
    for long.

    On PostgreSQL a job whose key must outlive it is deleted an hour after the first run that
    finds it.
    """
    settings = load_settings()
    catalogue = load_catalogue(settings)
    with closing(open_database(settings)) as database:
        check(database)
        pruner = SqlPruner(database)
        # Groups are deleted after their jobs; a dry run does not know their number.
        gone: int | None = None
        if dry_run:
            found = _counted(pruner, list(catalogue))
        else:
            found = _pruned(pruner, list(catalogue), batch, quiet=as_json)
            gone = prune_groups(pruner, Pruning(batch_size=batch))
            SqlLedger(database).forget_ended_keys()
            prune_keys(pruner, Pruning(batch_size=batch))
            pruner.prune_schedules()
            prune_outbox(pruner, Pruning(batch_size=batch))
        unknown = sorted(set(pruner.ended_names()) - {each.name for each in catalogue})
    if as_json:
        print_json({"dry_run": dry_run, **found, "groups": gone, "unknown": unknown})
        return
    _print(found, dry_run=dry_run)
    if gone:
        say(f"{gone} groups were deleted with the last of their jobs")
    if unknown:
        say(f"kept, not known here: {', '.join(unknown)}")


def _print(found: Counts, *, dry_run: bool) -> None:
    if not any(found.values()):
        say("no job is to be pruned" if dry_run else "no job was to be pruned")
        return
    rows = (
        (state, name, count) for state, by_name in found.items() for name, count in by_name.items()
    )
    print_table("To be pruned" if dry_run else "Pruned", ("ended", "job", "jobs"), rows)


def _counted(pruner: LedgerPruner, definitions: list[AnyDefinition]) -> Counts:
    return {
        str(state): {
            each.name: count for each in definitions if (count := prunable(pruner, each, state))
        }
        for state in _ENDED
    }


def _pruned(
    pruner: LedgerPruner, definitions: list[AnyDefinition], batch: int, *, quiet: bool
) -> Counts:
    limits = Pruning(batch_size=batch)

    def show_progress(deleted: int) -> None:
        if not quiet:
            say(f"{deleted} deleted", err=True)

    found: dict[str, dict[str, int]] = {str(state): {} for state in _ENDED}
    for state in _ENDED:
        for each in definitions:

            def warn(count: int, each: AnyDefinition = each) -> None:
                log_event(pruning_dead_letters(each, count))
                say(f"{count} dead letters of {each.name} are deleted", "yellow", err=True)

            if count := prune(pruner, each, state, limits, warn=warn, on_progress=show_progress):
                found[str(state)][each.name] = count
    return found
