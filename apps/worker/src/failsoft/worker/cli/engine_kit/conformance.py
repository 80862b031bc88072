"""`failsoft engines test`."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from tempfile import TemporaryFile
from typing import Any

import click

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.job_engine.errors import ConfigurationError, FailsoftError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import counted, print_json, say
from failsoft.worker.configuration.settings import DEFAULT_ENGINES
from failsoft.worker.exit_codes import CONFIG, FAILURE, OK

#: What runs the promises; this program imports nothing of it.
KIT = "failsoft.testing.engine_kit"
#: How much of its errors is shown, in lines.
LINES = 15


class ConformanceError(FailsoftError):
    """The promises of an engine could not be tried."""


@click.command("test")
@click.argument("name")
@click.option(
    "--bench",
    metavar="MODULE:CLASS",
    help="What makes its bench; found by its entry point in failsoft.engine_benches where absent.",
)
@click.option("--only", metavar="TEXT", default="", help="Only the promises that contain this.")
@click.option(
    "--losing",
    metavar="ENGINE",
    default=DEFAULT_ENGINES[0],
    show_default=True,
    help="The engine that loses a job, which NAME carries on.",
)
@click.option(
    "--patience",
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="How long anything may take that must happen.",
)
@json_option
def test_command(
    *, name: str, bench: str | None, only: str, losing: str, patience: float, as_json: bool
) -> None:
    """Try every promise of engine NAME on servers of its own, which are stopped and frozen.

    First what its two halves promise, each on a fresh bench; then a whole installation, in which
    another engine loses a job in its third step and NAME carries it on. Takes some minutes. Ends
    with 1 if a promise is broken, 78 if there is nothing to try it on.
    """
    if bench is None:
        plugin(name)  # says what is installed, or why it cannot be imported
    _expect_kit()
    options = ["--losing", losing, "--patience", str(patience)]
    options += ["--only", only] if only else []
    options += ["--bench", bench] if bench else []
    results = list(_shown(_run(name, options), as_json=as_json))
    broken = [result for result in results if not result["kept"]]
    if as_json:
        numbers = {"kept": len(results) - len(broken), "broken": len(broken)}
        print_json({"engine": name, **numbers, "promises": results})
    elif broken:
        say(f"{name} breaks {len(broken)} of {counted(len(results), 'promise')}", "red")
    else:
        say(f"{name} keeps {counted(len(results), 'promise')}", "green")
    raise SystemExit(FAILURE if broken else OK)


def _expect_kit() -> None:
    if find_spec("failsoft.testing") is None:
        raise ConfigurationError(
            "expected failsoft-testing, which has the promises, got none; "
            "run: pip install 'failsoft[testing]'"
        )


def _run(name: str, options: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Run the promises in a process of their own, and yield what comes of each.

    Raises:
        ConfigurationError: The engine has no bench.
        ConformanceError: It ended before it had tried them.
    """
    command = [sys.executable, "-m", KIT, name, *options]
    tried = 0
    with TemporaryFile("w+") as said:
        with subprocess.Popen(  # noqa: S603 - a module of ours
            command, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process:
            for line in process.stdout or ():
                tried += 1
                yield json.loads(line)
        said.seek(0)
        end = "\n".join(said.read().splitlines()[-LINES:])
    if process.returncode == CONFIG:
        raise ConfigurationError(end)
    if process.returncode not in (OK, FAILURE) or not tried:
        raise ConformanceError(f"expected the promises of {name}, got an error:\n{end}")


def _shown(results: Iterator[Mapping[str, Any]], *, as_json: bool) -> Iterator[Mapping[str, Any]]:
    """Print each result as it comes, unless all are printed as JSON in the end."""
    suite = ""
    for result in results:
        if not as_json:
            if result["suite"] != suite:
                suite = result["suite"]
                click.secho(suite, bold=True)
            mark, colour = ("kept  ", "green") if result["kept"] else ("BROKEN", "red")
            click.secho(f"  {mark}", fg=colour, nl=False)
            say(f" {result['seconds']:6.1f} s  {result['promise']}")
            if result["error"]:
                say(f"           {result['error']}", "red")
        yield result
