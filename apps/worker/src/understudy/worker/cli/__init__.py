"""The `understudy` command."""

import sys

import click

from understudy.job_engine.errors import UnderstudyError
from understudy.worker.cli.dev import dev
from understudy.worker.cli.dispatch import dispatch
from understudy.worker.cli.doctor import doctor
from understudy.worker.cli.engines import engines
from understudy.worker.cli.jobs import jobs
from understudy.worker.cli.ledger import ledger
from understudy.worker.cli.worker import worker
from understudy.worker.exits import exit_code


class _Group(click.Group):
    """A group whose commands end with a clear message and a meaningful exit status."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except UnderstudyError as error:
            click.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
            ctx.exit(exit_code(error))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="understudy-worker", prog_name="understudy")
def main() -> None:
    """Dispatch background jobs to RQ, and carry them on with Dramatiq when RQ cannot.

    Settings come from the environment and from .env: REDIS_URL, AMQP_URL,
    UNDERSTUDY_LEDGER_URL, UNDERSTUDY_JOBS, USE_RQ and others; see the README.
    """
    # Job modules of the folder where the command was started can be imported.
    if "" not in sys.path:
        sys.path.insert(0, "")


for command in (worker, dispatch, jobs, engines, ledger, doctor, dev):
    main.add_command(command)
