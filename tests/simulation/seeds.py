"""The seeds that failed once: kept with the code, and run again in every run of the tests."""

from collections.abc import Iterator
from pathlib import Path

from tests.simulation.run import Run

FOLDER = Path(__file__).parents[1] / "seeds"


def kept() -> list[int]:
    """Return the seeds that are kept."""
    return sorted(int(path.stem) for path in FOLDER.glob("*.txt"))


def keep(run: Run) -> Path:
    """Keep a seed that failed, and what was wrong."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{run.seed}.txt"
    path.write_text("\n".join(report(run)) + "\n")
    return path


def report(run: Run) -> Iterator[str]:
    """Say what was wrong, and how to see it again."""
    yield f"seed {run.seed}: {len(run.wrong)} wrong; replay with:"
    yield f"    python -m tests.simulation --seed {run.seed}"
    yield from run.wrong
