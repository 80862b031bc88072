"""`failsoft worker ENGINE|all|maintenance`."""

import os
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import NoReturn

import click

from failsoft.dispatcher.plugins.discovery import installed, plugin
from failsoft.dispatcher.plugins.plugin import AnyPlugin
from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger import check
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.cli.caller import Caller
from failsoft.worker.cli.options import Option, json_option
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.engine_sites import expect_engine, site_of
from failsoft.worker.logs.output import configure_logs, logs_json
from failsoft.worker.preflight import preflight
from failsoft.worker.supervision.bridge import has_bridge
from failsoft.worker.supervision.posts import BRIDGE, MAINTENANCE
from failsoft.worker.supervision.program import Plan, become_supervisor
from failsoft.worker.supervision.template import WorkerTemplate
from failsoft.worker.supervision.template_process import fork_template
from failsoft.worker.wiring import open_database

#: Stands for every engine of the settings.
ALL = "all"

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
processes_option: Option = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="How many processes serve each queue, each with its slots: threads of one process share "
    "one processor.",
)
health_option: Option = click.option(
    "--health",
    metavar="HOST:PORT",
    help="Answer probes there: /livez, /readyz, /startupz; overrides FAILSOFT_HEALTH.",
)
bridge_option: Option = click.option(
    "--bridge",
    "only_bridge",
    is_flag=True,
    help="Serve no queue: only consume the topics that jobs declare, and publish the outbox. "
    "Without --queue the engine's process for that is started, too, if it has one.",
)


class _Workers(click.Group):
    """A command for each engine of the settings; those of engines that are installed are shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*filter(_is_shown, installed()), ALL, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _of_engine(cmd_name)


@click.group(cls=_Workers)
def worker() -> None:
    """Run workers: a supervised process per queue, or several.

    SIGTERM or Ctrl-C stops them gracefully: a job that runs ends, or goes back to the ledger
    after its step. A second one stops them at once. Logs go to standard error. Each ledger of
    FAILSOFT_LEDGERS has processes of its own, or the one that --ledger names.
    """


def _of_engine(name: str) -> click.Command:
    """Return the command of an engine, or of all that the settings name."""

    @queue_option
    @slots_option
    @processes_option
    @bridge_option
    @health_option
    @json_option
    def serve(
        queues: tuple[str, ...],
        *,
        slots: str | None,
        processes: int,
        only_bridge: bool,
        health: str | None,
        as_json: bool,
    ) -> None:
        _override("FAILSOFT_SLOTS", slots)
        _override("FAILSOFT_HEALTH", health)
        if only_bridge:
            _serve_bridge(name, queues, as_json=as_json)
        else:
            _serve(name, queues, processes, as_json=as_json)

    return click.command(name, help=f"Serve queues from {_title(name)}.")(serve)


def _title(name: str) -> str:
    if name == ALL:
        return "every engine of FAILSOFT_ENGINES"
    found = _importable(name)
    return (found.title if found else "") or f"engine {name}"


def _is_shown(kind: str) -> bool:
    found = _importable(kind)
    return found is None or not found.is_for_tests


def _importable(kind: str) -> AnyPlugin | None:
    with suppress(ConfigurationError):  # said when the engine is used
        return plugin(kind)
    return None


def _override(variable: str, value: str | None) -> None:
    if value is not None:
        # The processes of the queues read it there, too.
        os.environ[variable] = value


@worker.command("maintenance")
@health_option
@json_option
def maintenance(*, health: str | None, as_json: bool) -> None:
    """Serve no queue: probe, schedule and rescue.

    Every worker does this, too; a process of its own does it where no worker may be running.
    """
    _override("FAILSOFT_HEALTH", health)
    settings, template = _begin()
    for each in settings.by_ledger():
        load_catalogue(each)
        with closing(open_database(each)) as database:
            check(database)
    _supervise(settings, [(MAINTENANCE,)], template, as_json=as_json)


def _begin() -> tuple[Settings, WorkerTemplate | None]:
    settings = load_settings()
    # It loads what workers need while this process checks what they will find.
    template = template_for(settings)
    configure_logs(settings)
    return settings, template


def template_for(settings: Settings) -> WorkerTemplate | None:
    """Fork the template of the workers, unless an application has called the command.

    The forks of that one's process would have code of the application's, as it was then.
    """
    is_script = click.get_current_context().obj is Caller.SCRIPT
    return fork_template(settings) if is_script else None


def _serve(engine: str, queues: tuple[str, ...], processes: int, *, as_json: bool) -> None:
    settings, template = _begin()
    engines = settings.offered_engines if engine == ALL else (engine,)
    expect_engine(settings, *engines)
    _expect_workers(settings, engines)
    # The same for each ledger, which are checked here; the queues are the jobs'.
    *_, chosen = [preflight(each, queues) for each in settings.by_ledger()]
    posts = [(each, queue) for each in engines for queue in chosen for _ in range(processes)]
    if not queues:
        posts += [(each, BRIDGE) for each in engines if has_bridge(settings, each)]
    _supervise(settings, posts, template, as_json=as_json)


def _serve_bridge(engine: str, queues: tuple[str, ...], *, as_json: bool) -> None:
    settings, template = _begin()
    if queues:
        raise ConfigurationError(
            f"expected --bridge or --queue, got both; leave out --queue {queues[0]}"
        )
    engines = settings.offered_engines if engine == ALL else (engine,)
    expect_engine(settings, *engines)
    posts = [(each, BRIDGE) for each in engines if has_bridge(settings, each)]
    if not posts:
        raise ConfigurationError(
            f"expected an engine with a bridge, got {', '.join(engines)}: nothing is consumed "
            "from it, or published to it, but messages; leave out --bridge"
        )
    for each in settings.by_ledger():
        load_catalogue(each)
        with closing(open_database(each)) as database:
            check(database)
    _supervise(settings, posts, template, as_json=as_json)


def _expect_workers(settings: Settings, engines: Sequence[str]) -> None:
    for name in engines:
        found, _ = site_of(settings, name)
        if found.is_for_tests:
            raise ConfigurationError(
                f"expected an engine with workers, got {name}, whose messages stay in one process; "
                "serve another engine"
            )


def _supervise(
    settings: Settings,
    posts: Sequence[tuple[str, ...]],
    template: WorkerTemplate | None,
    *,
    as_json: bool,
) -> NoReturn:
    become_supervisor(
        Plan(
            posts,
            [each.ledger_name for each in settings.by_ledger()],
            settings.shutdown_grace.total_seconds(),
            settings.worker_ttl.total_seconds(),
            str(settings.health or ""),
            settings.log_level,
            logs_json=logs_json(settings),
            as_json=as_json,
            template=template.handed_over() if template else None,
        )
    )
