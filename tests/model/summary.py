"""What a search has seen, as a file for the page of evidence."""

import json
import os
import re
from pathlib import Path

from tests.model.mutations import Mutation
from tests.model.search import Search

#: Names a folder: each search leaves a JSON file there.
VARIABLE = "_FAILSOFT_MODEL_SUMMARY"


def summarise(search: Search, mutation: Mutation | None = None) -> dict[str, object]:
    """Return the figures of a search."""
    config = search.model.config
    figures: dict[str, object] = {
        "configuration": config.name,
        "workers": config.workers,
        "rescuers": config.carriers,
        "epochs": config.epochs,
        "steps": list(config.steps),
        "states": len(search.states),
        "actions": search.edges,
        "depth": search.depth,
        "at_the_bound": search.bounded,
        "seconds": round(search.seconds, 2),
        "violated": sorted(search.broken),
    }
    if mutation is not None:
        figures |= {"mutation": mutation.name, "meaning": mutation.meaning}
        figures |= {"expected": sorted(mutation.breaks)}
    return figures


def keep(search: Search, mutation: Mutation | None = None) -> None:
    """Write the figures down, if a run keeps them."""
    folder = os.environ.get(VARIABLE)
    if folder:
        name = mutation.name if mutation else search.model.config.name
        path = Path(folder) / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summarise(search, mutation), indent=2) + "\n")
