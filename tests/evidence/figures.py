"""The figures that the last runs left in `docs/evidence`, as they were written."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "evidence"

Figures = Mapping[str, Any]


def all_in(folder: str, names: str = "*") -> Sequence[Figures]:
    """Return the figures of every run of one kind, by the names of their files."""
    return [_read(path) for path in sorted((FOLDER / folder).glob(f"{names}.json"))]


def one(name: str) -> Any:
    """Return what stands in one file, or None if that run has not been made."""
    path = FOLDER / f"{name}.json"
    return _read(path) if path.exists() else None


def total(runs: Sequence[Figures], *names: str) -> Counter[str]:
    """Add up counts, also of those that a run does not have."""
    added: Counter[str] = Counter()
    for run in runs:
        added.update({name: run["counts"].get(name, 0) for name in names})
    return added


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
