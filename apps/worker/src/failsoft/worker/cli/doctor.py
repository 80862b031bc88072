"""`failsoft doctor`."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

import click
from rich.table import Table

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.values.findings import Finding, Level, failure, warning
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import console, print_json, show
from failsoft.worker.configuration.ledgers import expect_one
from failsoft.worker.configuration.report import SettingSource
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.configuration.unknown_variables import lookalikes
from failsoft.worker.doctor.checks import LIMIT, exit_status
from failsoft.worker.doctor.run import examine
from failsoft.worker.engine_sites import release_engines
from failsoft.worker.exit_codes import CONFIG

_MARKS = {
    Level.OK: "[green]ok[/]",
    Level.WARNING: "[yellow]warn[/]",
    Level.FAILURE: "[red]FAIL[/]",
}


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show settings with their default, too.")
@duration_option(
    "--timeout",
    "limit",
    default=f"{LIMIT.total_seconds():g}s",
    text="How long each check may take.",
)
@json_option
def doctor(*, everything: bool, limit: timedelta, as_json: bool) -> None:
    """Check settings, jobs, ledger, engines and workers.

    Every check reports what it found and what to do about it. Ends with 0 if nothing failed, 78 if
    a setting is wrong, 69 if a server that is needed does not answer, 1 for any other failure.
    """
    settings: Sequence[SettingSource] = ()
    try:
        loaded = load_settings()
        settings = loaded.sources()
        expect_one(loaded.ledgers, loaded.ledger_name)
        click.get_current_context().call_on_close(partial(release_engines, loaded))
        findings = [*_unread(loaded), *examine(loaded, limit)]
    except ConfigurationError as error:
        wrong = str(error).split("; ")
        findings = [failure("settings", each, "correct it", CONFIG) for each in wrong]
    if as_json:
        levels = {found.level for found in findings}
        worst = next(level for level in reversed(Level) if level in levels)
        print_json({"status": worst, "settings": settings, "checks": findings})
    else:
        _show(settings, findings, everything=everything)
    raise SystemExit(exit_status(findings))


def _unread(settings: Settings) -> Iterator[Finding]:
    for name, meant in lookalikes(Settings, settings.engine_models()):
        remedy = f"set {meant} instead, if that was meant"
        yield warning("settings", f"{name} is not read; {meant} is, and is not set", remedy)


def _show(
    settings: Sequence[SettingSource], findings: Sequence[Finding], *, everything: bool
) -> None:
    _show_settings(settings, everything=everything)
    table = Table(title="Checks", title_justify="left", header_style="bold", box=None)
    table.add_column("")
    table.add_column("check", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for each in findings:
        remedy = f"\n[bold]→ {show(each.remedy)}[/]" if each.remedy else ""
        table.add_row(_MARKS[each.level], show(each.check), show(each.found) + remedy)
    console().print(table)
    counted = {level: sum(each.level is level for each in findings) for level in Level}
    console().print(", ".join(f"{count} {level}" for level, count in counted.items()))


def _show_settings(settings: Sequence[SettingSource], *, everything: bool) -> None:
    chosen = [each for each in settings if everything or each.source != "default"]
    table = Table(title="Settings", title_justify="left", header_style="bold", box=None)
    for column in ("setting", "value", "from"):
        table.add_column(column, overflow="fold")
    for each in chosen:
        source = "default" if each.source == "default" else f"{each.variable} ({each.source})"
        table.add_row(show(each.name), show(each.value), show(source))
    console().print(table)
    if len(chosen) < len(settings):
        console().print(f"{len(settings) - len(chosen)} more have their default; --all shows them")
