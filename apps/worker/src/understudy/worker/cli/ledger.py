"""`understudy ledger`: upgrade, verify, prune and rotate-keys."""

from contextlib import closing

import click

from understudy.job_engine.redaction import redacted_url
from understudy.ledger.upgrading import upgrade
from understudy.worker.cli.output import json_option, print_json, say
from understudy.worker.cli.prune import prune_command
from understudy.worker.cli.rotate_keys import rotate_keys
from understudy.worker.cli.verify import verify
from understudy.worker.settings import load_settings
from understudy.worker.wiring import open_database


@click.group()
def ledger() -> None:
    """Look after the ledger."""


ledger.add_command(verify)
ledger.add_command(prune_command)
ledger.add_command(rotate_keys)


@ledger.command("upgrade")
@click.option(
    "--adopt",
    is_flag=True,
    help="Make this host the owner of a SQLite ledger that was moved here.",
)
@json_option
def upgrade_command(adopt: bool, as_json: bool) -> None:
    """Create the ledger's tables, or bring them up to date."""
    with closing(open_database(load_settings())) as database:
        revision = upgrade(database, adopt_host=adopt)
    where = redacted_url(database.url.render_as_string(hide_password=True))
    if as_json:
        print_json({"ledger": where, "revision": revision})
    else:
        say(f"ledger {where} is at schema {revision}", "green")
