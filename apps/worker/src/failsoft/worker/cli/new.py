"""`failsoft new`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.job_engine.errors import FailsoftError
from failsoft.worker.cli.options import engines_option, json_option
from failsoft.worker.cli.output import answer, say
from failsoft.worker.scaffold.frameworks import FRAMEWORKS, Framework
from failsoft.worker.scaffold.project import Ledger, Project
from failsoft.worker.scaffold.rendering import expect_new, write


@click.command()
@click.argument("name")
@click.option(
    "--framework",
    default="none",
    show_default=True,
    type=click.Choice(get_args(Framework)),
    help="What its requests come by.",
)
@engines_option("The engines, in order of preference.")
@click.option(
    "--ledger",
    default="sqlite",
    show_default=True,
    type=click.Choice(get_args(Ledger)),
    help="Where its jobs are recorded.",
)
@click.option("--docker", is_flag=True, help="With an image, and a compose.yaml of all its parts.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where it is made; NAME in this folder where absent.",
)
@click.option("--yes", is_flag=True, help="Write without a question, also on a terminal.")
@json_option
def new(  # noqa: PLR0913 - an option each
    *,
    name: str,
    framework: Framework,
    engines: Sequence[EngineName],
    ledger: Ledger,
    docker: bool,
    folder: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Make an application, NAME, that dispatches jobs and tests that they outlive their broker.

    It has a job with steps, one of which is never taken twice, a job with a schedule, tests in
    memory, and a Makefile whose targets run and check it. Nothing is written if it is refused.
    """
    target = folder or Path(name)
    try:
        # First: a folder of this name is a module here, and that would be said of it otherwise.
        expect_new(target)
        project = Project(name, framework, engines, ledger, docker=docker)
    except FailsoftError as error:
        raise click.UsageError(str(error)) from None
    made = list(project.files())
    if not (yes or as_json) and sys.stdin.isatty():
        say(f"{target}: {', '.join(str(path) for path, _ in made)}")
        click.confirm("Write these files?", default=True, abort=True)
    written = write(target, made)
    steps = [f"cd {target} && pip install -e '.[dev]'", "make dev", FRAMEWORKS[framework].request]
    if framework != "none":
        steps.insert(2, "make run")
    answer(
        {
            "name": name,
            "folder": str(target),
            "files": [str(path) for path in written],
            "next": steps,
        },
        "\n".join([f"{name} is in {target}; now:", *steps]),
        "green",
        as_json=as_json,
    )
