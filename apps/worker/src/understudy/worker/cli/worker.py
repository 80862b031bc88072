"""`understudy worker rq|dramatiq|maintenance`."""

import click

from understudy.job_engine.errors import UnknownQueueError
from understudy.job_engine.queues import declared_queues
from understudy.ledger import check
from understudy.worker.logs import configure_logs
from understudy.worker.settings import Settings, load_settings
from understudy.worker.supervisor import Supervisor
from understudy.worker.wiring import load_catalogue, open_database

queue_option = click.option(
    "--queue",
    "queues",
    multiple=True,
    help="Serve this queue; may be given several times. All declared queues where absent.",
)


@click.group()
def worker() -> None:
    """Run workers: a supervised process per queue."""


@worker.command("rq")
@queue_option
def rq(queues: tuple[str, ...]) -> None:
    """Serve queues from RQ on Redis."""
    _run("rq", queues)


@worker.command("dramatiq")
@queue_option
def dramatiq(queues: tuple[str, ...]) -> None:
    """Serve queues from Dramatiq on RabbitMQ or Redis."""
    _run("dramatiq", queues)


def _run(engine: str, queues: tuple[str, ...]) -> None:
    settings = load_settings()
    configure_logs(settings)
    supervisor = Supervisor(
        [(engine, queue) for queue in preflight(settings, queues)], settings.shutdown_grace
    )
    supervisor.on_signals()
    raise SystemExit(supervisor.run())


def preflight(settings: Settings, queues: tuple[str, ...]) -> tuple[str, ...]:
    """Check all that can be checked before a process is started; return the queues.

    Raises:
        UnderstudyError: A module does not import, a job has no handler, a queue is unknown, or
            the ledger does not fit.
    """
    catalogue = load_catalogue(settings)
    known = tuple(declared_queues())
    unknown = [queue for queue in queues if queue not in known]
    if unknown:
        raise UnknownQueueError(
            f"expected declared queues ({', '.join(sorted(known))}), got {', '.join(unknown)}"
        )
    chosen = queues or known
    catalogue.require_handlers(chosen)
    check(open_database(settings))
    return chosen
