"""`failsoft worker rq|dramatiq|maintenance`."""

import os
from collections.abc import Sequence
from contextlib import closing

import click

from failsoft.ledger import check
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.cli.options import Option, json_option
from failsoft.worker.cli.output import answer, may_be_lost
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.logs.output import configure_logs
from failsoft.worker.preflight import preflight
from failsoft.worker.supervision.maintenance import MAINTENANCE
from failsoft.worker.supervision.supervisor import Supervisor
from failsoft.worker.wiring import death_notices, open_database

queue_option: Option = click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="QUEUE",
    help="Serve this queue; may be given several times. All declared queues where absent.",
)
slots_option: Option = click.option(
    "--slots",
    metavar="N|QUEUE=N",
    help="How many attempts a process runs side by side, as 4 or default=4,data-sync=1; "
    "overrides FAILSOFT_SLOTS.",
)


@click.group()
def worker() -> None:
    """Run workers: a supervised process per queue.

    SIGTERM or Ctrl-C stops them gracefully: a job that runs ends, or goes back to the ledger
    after its step. A second one stops them at once. Logs go to standard error.
    """


def _engine_command(engine: str, servers: str) -> click.Command:
    @click.command(engine, help=f"Serve queues from {servers}.")
    @queue_option
    @slots_option
    @json_option
    def serve(queues: tuple[str, ...], *, slots: str | None, as_json: bool) -> None:
        if slots is not None:
            # The worker processes read it from there.
            os.environ["FAILSOFT_SLOTS"] = slots
        settings = _settings()
        posts = [(engine, queue) for queue in preflight(settings, queues)]
        _supervise(settings, posts, as_json=as_json)

    return serve


worker.add_command(_engine_command("rq", "RQ on Redis"))
worker.add_command(_engine_command("dramatiq", "Dramatiq on RabbitMQ or Redis"))


@worker.command("maintenance")
@json_option
def maintenance(*, as_json: bool) -> None:
    """Serve no queue: probe, schedule and rescue.

    Every worker does this, too; a process of its own does it where no worker may be running.
    """
    settings = _settings()
    load_catalogue(settings)
    with closing(open_database(settings)) as database:
        check(database)
    _supervise(settings, [(MAINTENANCE,)], as_json=as_json)


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings)
    return settings


def _supervise(settings: Settings, posts: Sequence[tuple[str, ...]], *, as_json: bool) -> None:
    deaths = death_notices(settings)
    supervisor = Supervisor(posts, settings.shutdown_grace, on_death=deaths.note)
    supervisor.on_signals()
    labels = [":".join(post) for post in posts]
    with may_be_lost():
        serving = f"serving {', '.join(labels)}; Ctrl-C stops, twice at once"
        answer({"pid": os.getpid(), "serves": labels}, serving, as_json=as_json)
    status = supervisor.run()
    deaths.finish()
    raise SystemExit(status)
