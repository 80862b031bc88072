"""`failsoft engines list`, `failsoft engines prepare`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click

from failsoft.dispatcher.plugins.discovery import EngineName, distribution, installed, plugin
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.policies.queue import declared_queues, queue_profile
from failsoft.job_engine.values.findings import Finding, Level
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import print_json, print_table, say
from failsoft.worker.cli.resources import loaded_catalogue
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.doctor.checks import exit_status
from failsoft.worker.engine_sites import expect_engine, release_engines, site_of


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine that is installed, or that the settings name.

    Attributes:
        engine: What the settings call it; its kind where they do not name it.
        kind: The name of its plug-in.
        place: Its place in FAILSOFT_ENGINES, from 1; None where it is not there.
        disabled: The setting that keeps offers from it; None where none does.
        distribution: What it was installed with, and the version.
        title: What it is; why it cannot be imported, where that is so.
    """

    engine: str
    kind: str
    place: int | None
    disabled: str | None
    distribution: str
    title: str


@click.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """Show the installed engines and their order of preference, without a call to a server."""
    found = [asdict(row) for row in _rows(load_settings())]
    if as_json:
        print_json(found)
    else:
        columns = ("engine", "kind", "place", "disabled", "distribution", "title")
        print_table("Engines", columns, ([row[column] for column in columns] for row in found))


@click.command("prepare")
@click.argument("name")
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="QUEUE",
    help="Prepare this queue; may be given several times. All declared queues where absent.",
)
@json_option
def prepare_command(*, name: str, queues: tuple[str, ...], as_json: bool) -> None:
    """Create on the server of engine NAME what its queues need and offers do not create.

    Topics or streams, for example. What is there is left as it is, so it may be repeated.
    """
    settings = load_settings()
    expect_engine(settings, name)
    loaded_catalogue(settings)  # its modules declare queues
    chosen = [queue_profile(each) for each in queues] or list(declared_queues().values())
    found, site = site_of(settings, name)
    click.get_current_context().call_on_close(lambda: release_engines(settings))
    findings = list(found.prepare(site, chosen))
    if as_json:
        print_json(findings)
    else:
        _say(findings, name)
    raise SystemExit(exit_status(findings))


def _say(findings: list[Finding], name: str) -> None:
    for finding in findings:
        say(f"{finding.check}: {finding.found}", "green" if finding.level is Level.OK else "yellow")
    if not findings:
        say(f"{name} creates what its queues need when it is first used")


def _rows(settings: Settings) -> Iterator[EngineRow]:
    named = {engine: place for place, engine in enumerate(settings.engines, start=1)}
    kinds = {engine.kind for engine in named}
    others = [EngineName(kind, kind) for kind in installed() if kind not in kinds]
    for engine in (*named, *others):
        title, is_for_tests = _title(engine.kind)
        if not is_for_tests or engine in named:
            yield EngineRow(
                *(engine.name, engine.kind, named.get(engine), settings.disabled.get(engine.name)),
                distribution=distribution(engine.kind),
                title=title,
            )


def _title(kind: str) -> tuple[str, bool]:
    try:
        found = plugin(kind)
    except ConfigurationError as error:
        return str(error), False
    return found.title, found.is_for_tests
