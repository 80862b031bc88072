"""`failsoft dev`."""

import os
import webbrowser
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click

from failsoft.worker.cli.output import may_be_lost, print_json, say
from failsoft.worker.cli.worker import queue_option, template_for
from failsoft.worker.configuration.ledgers import expect_one
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.dev.console import DevConsole, is_installed
from failsoft.worker.dev.session import DevSession
from failsoft.worker.dev.site import DevSite
from failsoft.worker.logs.output import configure_logs

#: The folder of everything, below the current one.
FOLDER = Path(".failsoft")


@click.command()
@queue_option
@click.option(
    "--watch",
    "watched",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Restart the workers when a .py file below this folder changes.  [default: .]",
)
@click.option("--open", "opens", is_flag=True, help="Open the console in a browser.")
@click.option("--no-reload", is_flag=True, help="Leave the workers alone when code changes.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON with the addresses, once everything runs."
)
def dev(
    *,
    queues: tuple[str, ...],
    watched: tuple[Path, ...],
    opens: bool,
    no_reload: bool,
    as_json: bool,
) -> None:
    """Run servers, a ledger and workers, all in this folder.

    Starts a Valkey server for RQ and one for Dramatiq, unless REDIS_URL and AMQP_URL name others,
    keeps the ledger in a SQLite file, and serves the queues of the modules in FAILSOFT_JOBS.
    Everything is kept in .failsoft; .failsoft/env holds the servers' addresses for other programs.
    Serves the web console where it is installed, unless FAILSOFT_CONSOLE is false.

    Ctrl-C stops it, a second one at once.
    """
    settings = load_settings()
    expect_one(settings.ledgers, settings.ledger_name)
    template = template_for(settings)
    configure_logs(settings)
    if not settings.jobs:
        with may_be_lost():
            say("FAILSOFT_JOBS names no module: only the jobs that ship are served", err=True)
    with DevSite(settings, FOLDER) as site, _console(settings, site) as console:
        if not as_json:
            with may_be_lost():
                click.echo(f"# for other programs; {FOLDER / 'env'} holds the same")
                click.echo(site.exports(), nl=False)
        announce = _Announcement(site, console, as_json, opens)
        watch = () if no_reload else watched or (Path(),)
        session = DevSession(
            settings, site.environment, queues, watch=watch, ready=announce, template=template
        )
        if console is not None:
            session.on_change(console.restart)
        session.on_signals()
        status = session.run()
    raise SystemExit(status)


def _console(settings: Settings, site: DevSite) -> AbstractContextManager[DevConsole | None]:
    if settings.console is False or not is_installed():
        return nullcontext()
    return DevConsole(site)


@dataclass(frozen=True, slots=True)
class _Announcement:
    """What is said once everything runs."""

    site: DevSite
    console: DevConsole | None
    as_json: bool
    opens: bool

    def __call__(self, pids: Mapping[str, int]) -> None:
        url = None if self.console is None else self.console.url
        with may_be_lost():
            if self.as_json:
                workers = {"workers": pids, "pid": os.getpid(), "env_file": str(self.site.env_file)}
                print_json({"environment": self.site.addresses, "console": url, **workers})
            else:
                if url is not None:
                    say(f"console: {url}")
                say(f"ready: {', '.join(pids)}; Ctrl-C stops, twice at once")
        if self.opens and url is not None:
            webbrowser.open(url)
