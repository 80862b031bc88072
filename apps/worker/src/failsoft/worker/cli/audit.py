"""`failsoft audit list`."""

import click

from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import plain, print_json, print_table, say
from failsoft.worker.cli.resources import opened_ledger
from failsoft.worker.configuration.settings import load_settings


@click.group()
def audit() -> None:
    """Show what people did: who, from where, to what, why, and what it came to."""


@audit.command("list")
@click.option("--target", help="Only what was done to the thing of this id or name.")
@click.option("--after", metavar="CURSOR", help="Go on after a list, with the cursor it ends with.")
@click.option(
    "--limit", default=50, type=click.IntRange(1, 200), show_default=True, help="How many at most."
)
@json_option
def list_command(*, target: str | None, after: str | None, limit: int, as_json: bool) -> None:
    """List actions, the newest first; refused ones, too."""
    page = opened_ledger(load_settings()).audits(after, limit, target)
    if as_json:
        print_json({"actions": [plain(each) for each in page.items], "after": page.after})
        return
    print_table(
        "Actions",
        ("at", "actor", "action", "kind", "target", "outcome", "reason", "source"),
        (
            (e.at, e.actor, e.action, e.target_kind, e.target, e.outcome, e.reason, e.source)
            for e in page.items
        ),
        spare=("source", "reason", "kind"),
    )
    if page.after is not None:
        say(f"there are more: --after {page.after}", err=True)
