"""Django's commands that are the command `failsoft`."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, ClassVar

import click
from django.core.management.base import BaseCommand

from failsoft.api import ConfigurationError

#: Imported by the processes of workers, as the module of their jobs.
JOB_MODULE = "failsoft.contrib.django.jobs"


class ProgramCommand(BaseCommand):
    """A command whose arguments are those of `failsoft`, with the project's settings and tasks.

    Attributes:
        before: What stands before them.
    """

    requires_system_checks: tuple[str, ...] = ()  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
    before: ClassVar[tuple[str, ...]] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run `failsoft` with what stands behind the command's name."""
        name = " ".join([os.path.basename(argv[0]), argv[1]])  # noqa: PTH119 - as Django shows it
        self._run(argv[2:], name)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run `failsoft` with the arguments of `call_command`."""
        self._run([str(each) for each in args], "failsoft")

    def add_arguments(self, parser: Any) -> None:
        """Take everything for `failsoft`."""
        parser.add_argument("args", nargs="*")

    def _run(self, arguments: Sequence[str], name: str) -> None:
        given = os.environ.get("FAILSOFT_JOBS", "")
        modules = [each for each in given.split(",") if each and each != JOB_MODULE]
        # Read by the processes that it starts, which import the project from where this one does.
        os.environ["FAILSOFT_JOBS"] = ",".join([*modules, JOB_MODULE])
        os.environ["PYTHONPATH"] = os.pathsep.join(
            dict.fromkeys([*filter(None, sys.path[:1]), *_paths()])
        )
        _program().main(args=[*self.before, *arguments], prog_name=name)


def _paths() -> list[str]:
    return [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]


def _program() -> click.Command:
    for entry in entry_points(group="console_scripts", name="failsoft"):
        program: click.Command = entry.load()
        return program
    raise ConfigurationError(
        "expected an installed `failsoft-worker`, which has the command, got none; "
        "run `pip install failsoft`"
    )
