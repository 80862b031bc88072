"""What the machines have done, as a file for the page of evidence."""

import json
import os
from pathlib import Path

from tests.stateful.databases import Bench
from tests.stateful.profiles import is_long

#: Names a folder: the run on each ledger leaves a JSON file there.
VARIABLE = "_FAILSOFT_STATEFUL_SUMMARY"


def summarise(bench: Bench, seconds: float) -> dict[str, object]:
    """Return the figures of a run."""
    figures = dict(sorted(bench.figures.items()))
    return {
        "ledger": bench.database.url.get_backend_name(),
        "profile": "long" if is_long() else "quick",
        "machines": figures.pop("machines", 0),
        "rules": figures.pop("rules", 0),
        "calls": figures,
        "seconds": round(seconds, 2),
    }


def keep(bench: Bench, seconds: float) -> None:
    """Write the figures down, if a run keeps them."""
    folder = os.environ.get(VARIABLE)
    if folder:
        path = Path(folder) / f"stateful-{bench.database.url.get_backend_name()}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summarise(bench, seconds), indent=2) + "\n")
