"""What the simulation has met, as a file for the page of evidence."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.run import Run
from tests.simulation.sometimes import SOMETIMES

#: Names a folder: each run of many seeds leaves a JSON file there.
VARIABLE = "_FAILSOFT_SIMULATION_SUMMARY"


def seen_in(runs: Sequence[Run]) -> Counter[str]:
    """Return how often what was met in all runs together."""
    seen: Counter[str] = Counter()
    for run in runs:
        seen += run.seen
    return seen


def summarise(runs: Sequence[Run]) -> dict[str, object]:
    """Return the figures of many seeds."""
    seen = seen_in(runs)
    return {
        "seeds": len(runs),
        "first": min(run.seed for run in runs),
        "last": max(run.seed for run in runs),
        "failed": [run.seed for run in runs if run.wrong],
        "jobs": sum(run.jobs for run in runs),
        "moments": sum(run.moments for run in runs),
        "simulated_seconds": round(sum(run.lasted for run in runs)),
        "seconds": round(sum(run.seconds for run in runs), 2),
        "sometimes": {name: seen[name] for name in sorted(SOMETIMES)},
        "never": sorted(SOMETIMES - seen.keys()),
    }


def keep(runs: Sequence[Run]) -> None:
    """Write the figures down, if a run keeps them."""
    folder = os.environ.get(VARIABLE)
    if folder:
        path = Path(folder) / "simulation.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summarise(runs), indent=2) + "\n")
