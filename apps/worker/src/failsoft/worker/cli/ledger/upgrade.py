"""`failsoft ledger upgrade`."""

from contextlib import closing
from dataclasses import asdict
from datetime import timedelta

import click

from failsoft.ledger.upgrade.run import Upgrade, upgrade
from failsoft.ledger.upgrade.steps import PATIENCE
from failsoft.worker.cli.ledger.progress import shown_progress
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import counted, print_json
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.ledger_access import make_ledger_folder, open_database


@click.command("upgrade")
@click.option(
    "--adopt",
    is_flag=True,
    help="Make this host the owner of a SQLite ledger that was moved here.",
)
@click.option(
    "--new-id",
    is_flag=True,
    help="Give a copy of a ledger an id of its own, before anything else is done with it.",
)
@click.option(
    "--finish",
    is_flag=True,
    help="No process of a release before works on it any more: refuse those from now on.",
)
@duration_option(
    "--patience",
    default=f"{PATIENCE // timedelta(minutes=1)}m",
    text="How long to wait for a lock, or for another upgrade.",
)
@json_option
def upgrade_command(
    *, adopt: bool, new_id: bool, finish: bool, patience: timedelta, as_json: bool
) -> None:
    """Create the ledger's tables, or bring them up to date.

    Other processes go on working meanwhile. If it is killed, run it again: it continues after the
    last finished step. The progress goes to standard error, with --json as one document a line.

    With --finish, once the last process of the release before is replaced, new jobs take less room
    and `doctor` counts them at once; there is no way back to that release then. A ledger that was
    made by this release needs none.
    """
    settings = load_settings()
    make_ledger_folder(settings)
    with (
        closing(open_database(settings)) as database,
        shown_progress(as_json=as_json) as report,
    ):
        done = upgrade(
            database,
            adopt_host=adopt,
            new_id=new_id,
            finish=finish,
            report=report,
            patience=patience,
        )
    if as_json:
        facts = asdict(done)
        print_json({"ledger": facts.pop("place"), **facts})
    else:
        click.secho(_summary(done), fg="green")


def _summary(done: Upgrade) -> str:
    if done.tables:
        change = f"made {counted(done.tables, 'table')} at schema {done.revision}"
    elif done.before != done.revision:
        change = f"upgraded from schema {done.before} to {done.revision}"
    else:
        change = f"nothing to do, at schema {done.revision}"
    if done.adopted_from is not None:
        change += f", taken over from host {done.adopted_from}"
    return f"ledger {done.place}: {change}"
