"""Run chaos: `python -m tests.chaos --minutes 10 --seed 1 --engines rq,kafka,ledger`.

A long run may be made of several, each with a seed made of the run's: `--slices 6 --into FOLDER`.
Started again, it goes on with the first of them that has not passed.
"""

import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from tests.chaos.plan import Plan
from tests.chaos.progress import Progress
from tests.chaos.report import Report
from tests.chaos.run import Run
from tests.chaos.system.brokers import DEFAULT_ENGINES, Engines
from tests.chaos.system.servers import LEDGER_KINDS, LedgerKind

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--minutes", default=10.0, help="How long there are faults.")
@click.option("--seed", default="", help="What decides everything but the timing.")
@click.option("--ledger", type=click.Choice(LEDGER_KINDS), default="postgresql")
@click.option(
    "--engines",
    type=Engines(),
    default=",".join(DEFAULT_ENGINES),
    help="In order of preference.",
)
@click.option("--rate", default=3.0, help="Requests a second of each dispatcher.")
@click.option("--slices", default=1, help="How many runs the minutes are shared among.")
@click.option("--into", type=FOLDER, help="Where the summary of each run goes, as JSON.")
def main(
    *,
    minutes: float,
    seed: str,
    ledger: LedgerKind,
    engines: Sequence[str],
    rate: float,
    slices: int,
    into: Path | None,
) -> None:
    """Break everything for a while, heal it, and check every promise. Exit 1 if one is broken."""
    console = Console(stderr=True)
    seed = seed or secrets.token_hex(4)
    seeds = [seed] if slices == 1 else [f"{seed}-{number}" for number in range(1, slices + 1)]
    passed = True
    for each in seeds:
        faults = minutes * 60 / slices
        plan = Plan(seed=each, ledger=ledger, engines=engines, faults=faults, rate=rate)
        summary = None if into is None else into / f"{plan.name}.json"
        console.print(f"seed [bold]{each}[/bold], ledger {ledger}, engines {','.join(engines)}")
        if summary is not None and has_passed(summary):
            console.print(f"has passed before: {summary}", highlight=False)
            continue
        outcome = perform(plan, Progress(console))
        if summary is not None:
            outcome.write(summary)
        show(outcome, console)
        passed &= outcome.passed
    sys.exit(0 if passed else 1)


def has_passed(summary: Path) -> bool:
    """Return whether a run has left its summary, and kept every promise."""
    return summary.exists() and bool(json.loads(summary.read_text())["passed"])


def perform(plan: Plan, progress: Progress) -> Report:
    """Run in a folder of its own, which is kept if the run fails."""
    folder = Path(tempfile.mkdtemp(prefix="failsoft-chaos-"))
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
        text = f"{violation.job_id} {violation.rule}: {violation.found}"
        console.print(f"[red]{violation.invariant}[/red] {text}", highlight=False)
    for shortcoming in report.shortcomings:
        console.print(f"[yellow]{shortcoming}[/yellow]", highlight=False)
    if report.passed:
        console.print("[green]every promise was kept[/green]")
    else:
        console.print(f"replay: {report.replay}\nlogs: {report.folder}", highlight=False)


if __name__ == "__main__":
    main()
