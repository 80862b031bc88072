"""`flask failsoft ...`: the command `failsoft`, with the app's settings and jobs."""

import os
from importlib.metadata import entry_points

import click
from flask.cli import ScriptInfo, pass_script_info

from failsoft.api import ConfigurationError

#: Imported by the processes of workers, as the module of their jobs.
APP_MODULE = "failsoft.contrib.flask.app"


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_script_info
def failsoft(info: ScriptInfo, arguments: tuple[str, ...]) -> None:
    """Run workers, show jobs and everything else that `failsoft` does, for this app."""
    info.load_app()
    if info.app_import_path:
        # Read by the processes that it starts.
        os.environ["FLASK_APP"] = str(info.app_import_path)
    os.environ["FAILSOFT_JOBS"] = APP_MODULE
    _program().main(args=list(arguments), prog_name="flask failsoft")


def _program() -> click.Command:
    for entry in entry_points(group="console_scripts", name="failsoft"):
        program: click.Command = entry.load()
        return program
    raise ConfigurationError(
        "expected an installed `failsoft-worker`, which has the command, got none; "
        "run `pip install failsoft`"
    )
