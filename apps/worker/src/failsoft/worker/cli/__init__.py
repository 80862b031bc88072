"""The `failsoft` command."""

import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import click

from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.values.redaction import redacted
from failsoft.worker.cli.caller import Caller
from failsoft.worker.exit_codes import FAILURE, exit_code
from failsoft.worker.logs.streams import open_standard_streams
from failsoft.worker.logs.visible import described, visible_block
from failsoft.worker.processes.garbage import collect_seldom

#: The commands, with their help texts.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "worker": "Run workers: a supervised process per queue, or several.",
        "dispatch": "Dispatch the job NAME with the payload JSON.",
        "jobs": "Show jobs, their attempts and their history; retry, resolve, cancel, pause them.",
        "schedules": "Show, pause, resume and trigger schedules; each is named after its job.",
        "events": "Send the events that jobs wait for.",
        "engines": (
            "Probe every engine and show the workers of each queue; "
            "list, prepare, drain, pause, test."
        ),
        "routes": "Share jobs among engines by weights, live; explain where a job goes.",
        "queues": "Show queues; pause and resume them.",
        "audit": "Show what people did: who, from where, to what, why, and what it came to.",
        "notify": "Show the channels and rules of notifications, and try a channel.",
        "ledger": (
            "Upgrade, verify, copy and prune the ledger, rotate its keys, take over a namespace."
        ),
        "health": "Probe the supervisors of this user on this host, without a server or a port.",
        "exporter": "Serve the figures of the ledger to Prometheus, until a signal.",
        "console": (
            "Serve the web console: jobs, queues, workers and engines, and what is done about them."
        ),
        "top": "Show engines, queues and what happened last, live, until a signal.",
        "doctor": "Check settings, jobs, ledger, engines and workers.",
        "new": (
            "Make an application, NAME, that dispatches jobs and tests that they outlive their "
            "broker."
        ),
        "adopt": (
            "Come from RQ, Dramatiq or Celery: move what waits there, list what is to be changed."
        ),
        "dev": "Run servers, a ledger and workers, all in this folder.",
        "demo": "Kill an engine's host during the work, and check that every job is carried on.",
    }
)

#: The modules of commands that have another name than the command.
_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "dispatch": "jobs.dispatch",
        "jobs": "jobs.commands",
        "ledger": "ledger.commands",
        "routes": "routes.commands",
    }
)

#: The errors of writing to a stream that is full, or that nothing reads.
_UNWRITABLE = (errno.ENOSPC, errno.EPIPE, errno.EDQUOT, errno.EBADF)


def load_command(name: str) -> click.Command:
    """Import the module of one command: importing all takes longer than most commands do."""
    module = importlib.import_module(f"failsoft.worker.cli.{_MODULES.get(name, name)}")
    command: click.Command = getattr(module, name)
    return command


class _Group(click.Group):
    """A group whose commands end with a message and the exit status of their error."""

    def main(self, *args: Any, **extra: Any) -> Any:
        if not args and "args" not in extra:
            # As the script calls it; a framework's command and tests give it its arguments.
            collect_seldom()
            extra["obj"] = Caller.SCRIPT
        return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except FailsoftError as error:
            click.secho(described(error), fg="red", err=True)
            ctx.exit(exit_code(error))
        except click.ClickException as error:
            # The error's text is replaced, because click prints it and ends the process.
            vars(error)["message"] = visible_block(redacted(error.message))
            raise
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            with suppress(OSError):
                click.echo(f"the output cannot be written: {error.strerror}", err=True)
            ctx.exit(FAILURE)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="failsoft-worker", prog_name="failsoft")
@click.option(
    "--ledger",
    metavar="NAME",
    help="Which of FAILSOFT_LEDGERS the command is about; commands with the ID of a job find it.",
)
def main(*, ledger: str | None) -> None:
    """Dispatch background jobs to an engine, and carry them on with the next when it cannot.

    Settings come from the environment and from .env: FAILSOFT_ENGINES, FAILSOFT_LEDGER_URL,
    FAILSOFT_JOBS, the addresses of the engines' servers and others; see the README.

    Ends with 0 when all is well, 1 after a failure, 2 for a wrong argument, 69 if a server is
    away, 75 if it is worth trying again, as when the ledger is away, 78 if a setting is wrong.
    Errors go to standard error.
    """
    if ledger is not None:
        # Read there by what the command starts, too.
        os.environ["FAILSOFT_LEDGER_NAME"] = ledger
    open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        # What an ASCII terminal cannot show is escaped; otherwise the command would fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Job modules in the current folder can be imported.
    if "" not in sys.path:
        sys.path.insert(0, "")
