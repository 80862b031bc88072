"""`failsoft demo`."""

import secrets
from dataclasses import asdict

import click

from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import console, print_json
from failsoft.worker.demo.plan import FEWEST_WEBHOOKS
from failsoft.worker.demo.run import run_demo
from failsoft.worker.exit_codes import FAILURE, OK

MOST_WEBHOOKS = 1_000


@click.command()
@click.option(
    "--jobs",
    default=200,
    show_default=True,
    type=click.IntRange(FEWEST_WEBHOOKS, MOST_WEBHOOKS),
    help="How many webhooks to dispatch, besides the one import.",
)
@click.option("--seed", type=int, help="Repeat the run of this seed; a new one where absent.")
@json_option
def demo(*, jobs: int, seed: int | None, as_json: bool) -> None:
    """Kill RQ's host during the work, and check that every job is carried on.

    Starts two Valkeys, a SQLite ledger, workers of RQ and Dramatiq and a webhook receiver in a
    temporary folder, dispatches webhooks and the import of a CSV file, kills RQ's Valkey and
    workers by SIGKILL, starts them again with the old list, and checks how every job ended.
    Nothing else needs to be installed or running, and nothing is left behind. Exit status 0
    means that no job was lost and none had two authorities.
    """
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    verdict, problems = run_demo(console(), jobs=jobs, seed=chosen)
    if as_json:
        print_json(asdict(verdict))
    raise SystemExit(FAILURE if problems else OK)
