"""`understudy ledger`: upgrade, verify, prune and rotate-keys."""

import click

from understudy.worker.cli.prune import prune_command
from understudy.worker.cli.rotate_keys import rotate_keys
from understudy.worker.cli.upgrade import upgrade_command
from understudy.worker.cli.verify import verify


@click.group()
def ledger() -> None:
    """Look after the ledger."""


ledger.add_command(upgrade_command)
ledger.add_command(verify)
ledger.add_command(prune_command)
ledger.add_command(rotate_keys)
