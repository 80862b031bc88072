"""`understudy engines`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from understudy.dispatcher.engine_set import EngineSet
from understudy.job_engine.engine_port import EngineHealth
from understudy.job_engine.queues import declared_queues
from understudy.job_engine.records import WorkerRecord
from understudy.worker.cli.opening import loaded_catalogue, opened_app
from understudy.worker.cli.output import json_option, print_json, print_table, say
from understudy.worker.exits import UNAVAILABLE
from understudy.worker.settings import load_settings

_OF_OTHERS = EngineHealth(healthy=False, detail="not probed: not in UNDERSTUDY_ENGINES here")


@click.command()
@json_option
def engines(*, as_json: bool) -> None:
    """Probe every engine and show who serves which queue.

    A probe writes what a dispatch would write. Workers are those whose heartbeat is fresh. The
    breakers are not shown: each process that dispatches has its own. Ends with 69 if no engine is
    healthy. Engines that live workers serve and this program does not have are not probed.
    """
    settings = load_settings()
    loaded_catalogue(settings)  # its modules declare queues
    app = opened_app(settings)
    live = app.ledger.live_workers()
    found = [_row(engine, queue, health, live) for engine, queue, health in _probed(app.engines)]
    found += [_row(*each, _OF_OTHERS, live) for each in _served_by_others(settings.engines, live)]
    if as_json:
        print_json(found)
    else:
        columns = ("engine", "queue", "healthy", "workers", "backlog", "detail")
        print_table("Engines", columns, ([row[column] for column in columns] for row in found))
        for pause in app.ledger.pauses():
            say(str(pause), "yellow")
    if not any(row["healthy"] for row in found):
        raise SystemExit(UNAVAILABLE)


def _probed(engines: EngineSet) -> Iterator[tuple[str, str, EngineHealth]]:
    for engine in engines:
        health = EngineHealth(healthy=True, detail="")
        for queue in declared_queues().values():
            # One that is away is asked once, not once a queue.
            health = engines.probe(engine, queue) if health.healthy else health
            yield engine, queue.name, health


def _served_by_others(
    engines: Sequence[str], live: Sequence[WorkerRecord]
) -> Iterator[tuple[str, str]]:
    served = {(worker.engine, worker.queue) for worker in live}
    return (each for each in sorted(served) if each[0] not in engines)


def _row(
    engine: str, queue: str, health: EngineHealth, live: Sequence[WorkerRecord]
) -> dict[str, object]:
    workers = sum((worker.engine, worker.queue) == (engine, queue) for worker in live)
    return {"engine": engine, "queue": queue, "workers": workers, **asdict(health)}
