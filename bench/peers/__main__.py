"""Ours beside raw RQ, raw Dramatiq and the durable peers, each in an environment of its own.

    python -m bench.peers                                    # both ledgers, five rounds
    python -m bench.peers --quick --ledger sqlite --only lanes pickup
    python -m bench.peers --system Huey DBOS --json

In each round each system has one turn, and no two are at work at once: jobs that do nothing but
note their run wait before a worker process takes the first (`lanes`), come one at a time to the
worker that waits (`pickup`), are enqueued at once (`bulk`), or have ten steps (`steps`). That each
ran once is checked. The floors are what the servers and the disk take for the least that can be
done with them, measured in each round.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.peers.catalogue import POSTGRESQL, SQLITE, SYSTEMS, System
from bench.peers.comparison import KINDS, QUICK, Comparison, Plan, compare, described
from bench.peers.targets import rows
from bench.report.table import print_all, wide_console


def main() -> None:
    """Compare, and print what was found."""
    arguments = _parsed()
    systems, ledgers = chosen(arguments.system, arguments.ledger)
    plan = QUICK if arguments.quick else Plan()
    plan = replace(plan, rounds=arguments.rounds or plan.rounds, kinds=arguments.only or KINDS)
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Progress(console=console, transient=True) as progress,
    ):
        found = compare(systems, plan, folder=Path(folder), progress=progress)
    document = {
        "rounds": plan.rounds,
        "floors": _floors(found),
        "systems": described(found, systems),
        "rows": [row.as_dict() for row in rows(found, plan.kinds, ledgers)],
    }
    if arguments.json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    else:
        print_all(document, wide_console())


def chosen(
    names: Sequence[str] | None, ledger: str | None
) -> tuple[Sequence[System], Sequence[str]]:
    """Return the systems that take part, and the ledgers whose targets they answer."""
    ledgers = [ledger] if ledger else [SQLITE, POSTGRESQL]
    systems = [
        each
        for each in SYSTEMS
        if (not names or any(name.lower() in each.name.lower() for name in names))
        # What keeps its jobs in a database is compared on each ledger with what shares its kind.
        and each.database in ("", *ledgers)
    ]
    return systems, ledgers


def _floors(found: Comparison) -> dict[str, list[float]]:
    """Return the median, the least and the greatest of each floor, in microseconds."""
    names = found.floors[0] if found.floors else ()
    return {
        name: [
            found.floor(name),
            min(each[name] for each in found.floors),
            max(each[name] for each in found.floors),
        ]
        for name in names
    }


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ledger", choices=(SQLITE, POSTGRESQL), help="one of them")
    parser.add_argument("--only", nargs="+", choices=KINDS, help="what is measured")
    parser.add_argument("--system", nargs="+", help="parts of the names of some systems")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="one round of few jobs")
    parser.add_argument("--json", action="store_true", help="print figures, not tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
