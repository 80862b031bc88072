"""`failsoft worker rq|dramatiq|maintenance`."""

import os
from collections.abc import Sequence
from contextlib import closing

import click

from failsoft.ledger import check
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.cli.options import Option
from failsoft.worker.cli.output import may_be_lost, print_json, say
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
json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print what is served as JSON, on one line."
)


@click.group()
def worker() -> None:
    """Run workers: a supervised process per queue.

    SIGTERM or Ctrl-C stops them gracefully: a job that runs ends, or goes back to the ledger
    after its step. A second one stops them at once. Logs go to standard error.
    """


@worker.command("rq")
@queue_option
@slots_option
@json_option
def rq(queues: tuple[str, ...], *, slots: str | None, as_json: bool) -> None:
    """Serve queues from RQ on Redis."""
    _serve("rq", queues, slots, as_json=as_json)


@worker.command("dramatiq")
@queue_option
@slots_option
@json_option
def dramatiq(queues: tuple[str, ...], *, slots: str | None, as_json: bool) -> None:
    """Serve queues from Dramatiq on RabbitMQ or Redis."""
    _serve("dramatiq", queues, slots, as_json=as_json)


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


def _serve(engine: str, queues: tuple[str, ...], slots: str | None, *, as_json: bool) -> None:
    if slots is not None:
        # The worker processes read it from there.
        os.environ["FAILSOFT_SLOTS"] = slots
    settings = _settings()
    posts = [(engine, queue) for queue in preflight(settings, queues)]
    _supervise(settings, posts, as_json=as_json)


def _supervise(settings: Settings, posts: Sequence[tuple[str, ...]], *, as_json: bool) -> None:
    deaths = death_notices(settings)
    supervisor = Supervisor(posts, settings.shutdown_grace, on_death=deaths.note)
    supervisor.on_signals()
    labels = [":".join(post) for post in posts]
    with may_be_lost():
        if as_json:
            print_json({"pid": os.getpid(), "serves": labels})
        else:
            say(f"serving {', '.join(labels)}; Ctrl-C stops, twice at once")
    status = supervisor.run()
    deaths.finish()
    raise SystemExit(status)
