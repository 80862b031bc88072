"""`failsoft ledger copy` and `failsoft ledger reopen`."""

from contextlib import closing
from dataclasses import asdict
from datetime import timedelta

import click

from failsoft.ledger import Database
from failsoft.ledger.copying.run import PATIENCE, Copied, copy, reopen
from failsoft.worker.cli.ledger.progress import shown_progress
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import answer, counted, print_json, say
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exit_codes import FAILURE
from failsoft.worker.ledger_access import open_database


@click.command("copy")
@click.option(
    "--to",
    "to",
    required=True,
    metavar="URL",
    help="An empty database: postgresql://user@host/database, or sqlite:///path/to/file.",
)
@click.option("--restart", is_flag=True, help="Begin an unfinished copy anew.")
@duration_option(
    "--patience",
    default=f"{PATIENCE // timedelta(seconds=1)}s",
    text="How long to wait for a lock on the ledger.",
)
@json_option
def copy_command(*, to: str, restart: bool, patience: timedelta, as_json: bool) -> None:
    """Copy the ledger into an empty database, which replaces it.

    Nothing may work on the ledger: stop the workers, or pause their queues and wait until nothing
    runs. While it is copied it takes no writes, and afterwards none any more: each process goes on
    with the copy once it is started with that URL in FAILSOFT_LEDGER_URL. Jobs, steps, keys,
    epochs and counters are the same there, and so is the ledger's id: messages that wait in the
    brokers stay valid.

    Both ledgers are verified and all rows compared. If it is killed, the target cannot be used and
    the ledger can; run it again, and it continues. The progress goes to standard error, with
    --json as one document a line.
    """
    settings = load_settings()
    with (
        closing(open_database(settings)) as source,
        closing(Database(to, limit=settings.ledger_timeout)) as target,
        shown_progress(as_json=as_json) as report,
    ):
        done = copy(source, target, restart=restart, report=report, patience=patience)
    if as_json:
        print_json(asdict(done))
    else:
        say(_summary(done), "green")
        if done.violations:
            say(
                f"{counted(done.violations, 'broken promise')} came with it; "
                "`failsoft ledger verify` names them",
                "yellow",
            )


def _summary(done: Copied) -> str:
    rows = counted(sum(done.rows.values()), "row")
    again = ", begun by an earlier run" if done.resumed else ""
    return (
        f"copied {counted(done.jobs, 'job')} ({rows}) from {done.source} to {done.target} in "
        f"{done.seconds:.1f} s{again}; both were verified and compared. Start everything with the "
        "new URL in FAILSOFT_LEDGER_URL: the ledger it was copied from takes no writes any more"
    )


@click.command("reopen")
@json_option
def reopen_command(*, as_json: bool) -> None:
    """Use a ledger again that was copied, instead of its copy.

    Only if no process has used the copy, and none ever will: each job would be carried out twice.
    Delete the copy first.
    """
    with closing(open_database(load_settings())) as database:
        place = reopen(database)
        found = {"ledger": database.place, "copied_to": place}
    if place is None:
        answer(found, f"{database.place} was not copied: nothing to do", "yellow", as_json=as_json)
        raise SystemExit(FAILURE)
    answer(found, f"{database.place} takes writes again; delete {place}", "green", as_json=as_json)
