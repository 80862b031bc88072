"""`understudy engines`."""

import click

from understudy.job_engine.queues import declared_queues
from understudy.worker.cli.output import json_option, print_json, print_table
from understudy.worker.exits import UNAVAILABLE
from understudy.worker.settings import load_settings
from understudy.worker.wiring import build, load_catalogue


@click.command()
@json_option
def engines(as_json: bool) -> None:
    """Probe every engine and show who serves which queue; exit 69 if none is healthy."""
    settings = load_settings()
    load_catalogue(settings)  # its modules declare queues
    app = build(settings)
    live = app.ledger.live_workers()
    found = [
        {
            "engine": name,
            "queue": queue.name,
            "healthy": health.healthy,
            "detail": health.detail,
            "backlog": health.backlog,
            "workers": sum((w.engine, w.queue) == (name, queue.name) for w in live),
        }
        for name in app.engines
        for queue in declared_queues().values()
        for health in [app.engines.probe(name, queue)]
    ]
    if as_json:
        print_json(found)
    else:
        columns = ("engine", "queue", "healthy", "workers", "backlog", "detail")
        print_table("Engines", columns, ([row[column] for column in columns] for row in found))
    if not any(row["healthy"] for row in found):
        raise SystemExit(UNAVAILABLE)
