"""`failsoft demo`."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict

import click

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.worker.cli.options import engines_option, json_option
from failsoft.worker.cli.output import console, print_json
from failsoft.worker.configuration.settings import DEFAULT_ENGINES
from failsoft.worker.demo.plan import FEWEST_WEBHOOKS
from failsoft.worker.demo.run import run_demo
from failsoft.worker.exit_codes import FAILURE, OK

MOST_WEBHOOKS = 1_000
#: Each has worker processes of its own.
MOST_LEDGERS = 4
#: The engine that fails, and its fallback.
ENGINES = 2


@click.command()
@click.option(
    "--jobs",
    default=200,
    show_default=True,
    type=click.IntRange(FEWEST_WEBHOOKS, MOST_WEBHOOKS),
    help="How many webhooks to dispatch, besides the one import.",
)
@engines_option("The engine whose host and server are killed, and its fallback.")
@click.option("--seed", type=int, help="Repeat the run of this seed; a new one where absent.")
@click.option(
    "--ledgers",
    default=1,
    show_default=True,
    type=click.IntRange(1, MOST_LEDGERS),
    help="How many ledgers to divide the jobs among, by their shards.",
)
@json_option
def demo(
    *, jobs: int, engines: Sequence[EngineName], seed: int | None, ledgers: int, as_json: bool
) -> None:
    """Kill an engine's host during the work, and check that every job is carried on.

    Starts a server for each of two engines, a SQLite ledger, workers and a webhook receiver in a
    temporary folder, dispatches webhooks and the import of a CSV file, kills the first engine's
    server and workers by SIGKILL, starts them again, and checks how every job ended. Nothing else
    needs to be installed or running, and nothing is left behind. Exit status 0 means that no job
    was lost and none had two authorities.
    """
    _expect_two(engines)
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    verdict, problems = run_demo(console(), engines, jobs=jobs, seed=chosen, ledgers=ledgers)
    if as_json:
        # One ledger has no name to show.
        nameless = () if verdict.by_ledger else ("by_ledger",)
        print_json({k: v for k, v in asdict(verdict).items() if k not in nameless})
    raise SystemExit(FAILURE if problems else OK)


def _expect_two(engines: Sequence[EngineName]) -> None:
    if len(engines) != ENGINES:
        example, got = ",".join(DEFAULT_ENGINES), ",".join(map(str, engines))
        wrong = f"expected two engines, as in {example}, got {got}"
        raise click.BadParameter(wrong, param_hint="--engines")
