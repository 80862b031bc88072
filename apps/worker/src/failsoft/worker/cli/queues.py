"""`failsoft queues list|pause|resume`."""

from collections import Counter
from typing import Any

import click

from failsoft.job_engine.policies.queue import declared_queues
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import print_json, print_table
from failsoft.worker.cli.pause import pause_command, resume_command
from failsoft.worker.cli.resources import loaded_catalogue, opened_ledger
from failsoft.worker.configuration.settings import load_settings


@click.group()
def queues() -> None:
    """Show queues; pause and resume them."""


queues.add_command(pause_command("queue", "job of the queue"))
queues.add_command(resume_command("queue", "jobs of the queue"))


@queues.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the declared and the paused queues, and how many workers serve each."""
    settings = load_settings()
    loaded_catalogue(settings)  # its modules declare queues
    ledger = opened_ledger(settings)
    live = Counter(worker.queue for worker in ledger.live_workers())
    paused = {pause.name: pause for pause in ledger.pauses() if pause.kind == "queue"}
    names = [*declared_queues(), *(name for name in paused if name not in declared_queues())]
    found: list[dict[str, Any]] = [
        {"queue": name, "workers": live[name], "paused": paused.get(name)} for name in names
    ]
    if as_json:
        print_json(found)
        return
    rows = ((row["queue"], row["workers"], row["paused"]) for row in found)
    print_table("Queues", ("queue", "workers", "paused"), rows)
