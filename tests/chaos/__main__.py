"""Run chaos: `python -m tests.chaos --minutes 10 --seed 1 --ledger postgresql`."""

import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from tests.chaos.plan import Plan
from tests.chaos.progress import Progress
from tests.chaos.report import Report
from tests.chaos.run import Run
from tests.chaos.surroundings import LEDGER_KINDS, LedgerKind


@click.command()
@click.option("--minutes", default=10.0, help="How long there are faults.")
@click.option("--seed", default="", help="What decides everything but the timing.")
@click.option("--ledger", type=click.Choice(LEDGER_KINDS), default="postgresql")
@click.option("--rate", default=3.0, help="Requests a second of each dispatcher.")
@click.option("--report", type=click.Path(path_type=Path), help="Where the summary goes, as JSON.")
def main(
    *, minutes: float, seed: str, ledger: LedgerKind, rate: float, report: Path | None
) -> None:
    """Break everything for a while, heal it, and check every promise. Exit 1 if one is broken."""
    console = Console(stderr=True)
    plan = Plan(seed=seed or secrets.token_hex(4), ledger=ledger, faults=minutes * 60, rate=rate)
    console.print(f"seed [bold]{plan.seed}[/bold], ledger {plan.ledger}")
    outcome = perform(plan, Progress(console))
    if report is not None:
        outcome.write(report)
    show(outcome, console)
    sys.exit(0 if outcome.passed else 1)


def perform(plan: Plan, progress: Progress) -> Report:
    """Run in a folder of its own, which is kept if the run fails."""
    folder = Path(tempfile.mkdtemp(prefix="understudy-chaos-"))
    # PostgreSQL runs as another user under root, who must get through.
    folder.chmod(0o711)
    report = Run(plan, folder, progress)()
    if report.passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        report.write(folder / "report.json")
    return report


def show(report: Report, console: Console) -> None:
    """Print the verdict; on failure what is needed to look into it."""
    console.print(report.as_json()["seconds"])
    console.print(report.last)
    console.print(report.counts)
    console.print(report.features)
    console.print(report.as_json()["nemeses"])
    for violation in report.violations:
        told = f"{violation.job_id} {violation.rule}: {violation.found}"
        console.print(f"[red]{violation.invariant}[/red] {told}", highlight=False)
    for shortcoming in report.shortcomings:
        console.print(f"[yellow]{shortcoming}[/yellow]", highlight=False)
    if report.passed:
        console.print("[green]every promise was kept[/green]")
    else:
        console.print(f"replay: {report.replay}\nlogs: {report.folder}", highlight=False)


if __name__ == "__main__":
    main()
