"""`failsoft ledger`: upgrade, verify, copy, reopen, prune, rotate-keys and take-over."""

import click

from failsoft.job_engine.ports.engine import Owner
from failsoft.worker.cli.ledger.copy import copy_command, reopen_command
from failsoft.worker.cli.ledger.prune import prune_command
from failsoft.worker.cli.ledger.rotate_keys import rotate_keys
from failsoft.worker.cli.ledger.upgrade import upgrade_command
from failsoft.worker.cli.ledger.verify import verify
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import print_json, print_table
from failsoft.worker.cli.resources import opened_app
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exit_codes import UNAVAILABLE


@click.group()
def ledger() -> None:
    """Upgrade, verify, copy and prune the ledger, rotate its keys, take over a namespace."""


ledger.add_command(upgrade_command)
ledger.add_command(verify)
ledger.add_command(copy_command)
ledger.add_command(reopen_command)
ledger.add_command(prune_command)
ledger.add_command(rotate_keys)


@ledger.command("take-over")
@json_option
def take_over(*, as_json: bool) -> None:
    """Make the brokers' namespace this ledger's, although it is another one's.

    For a ledger that replaces another one. Stop the other one's workers first: they would go on
    taking its messages.
    """
    settings = load_settings()
    engines = opened_app(settings).engines
    found = {name: engines.owner(name, "take_over").value for name in engines}
    if as_json:
        print_json({"namespace": settings.namespace, "engines": found})
    else:
        rows = ([name, settings.namespace, owner] for name, owner in found.items())
        print_table("Namespaces", ("engine", "namespace", "is"), rows)
    if Owner.OURS.value not in found.values():
        raise SystemExit(UNAVAILABLE)
