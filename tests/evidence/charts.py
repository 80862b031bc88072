"""The charts of the last run of the whole table, by the paths of their files."""

from collections.abc import Iterator
from pathlib import Path

from bench.report.chart import THEMES, chart
from tests.evidence.figures import FOLDER, one


def charts() -> Iterator[tuple[Path, str]]:
    """Return each chart's path and text; none before there was a run."""
    document = one("bench/table")
    for theme in THEMES if document else ():
        yield FOLDER / "bench" / f"systems-{theme.name}.svg", chart(document, theme)
