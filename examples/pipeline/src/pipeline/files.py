"""The files of the pipeline: what stores deliver, and the reports."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4


def folder() -> Path:
    """Return `PIPELINE_FOLDER`, which is `data` unless it is set."""
    return Path(os.environ.get("PIPELINE_FOLDER", "data"))


def delivery(day: date, store: str) -> Path:
    """Return the file that a store delivers of a day."""
    return folder() / "deliveries" / f"{day:%Y-%m-%d}" / f"{store}.csv"


def stores(day: date) -> list[str]:
    """Return the stores that have delivered of a day, in alphabetical order."""
    return sorted(path.stem for path in delivery(day, "any").parent.glob("*.csv"))


def lines(day: date, store: str) -> Iterator[str]:
    """Yield the lines of a delivery, the header first.

    Raises:
        FileNotFoundError: There is none.
    """
    with delivery(day, store).open(encoding="utf-8") as delivered:
        yield from delivered


def write_report(day: date, text: str) -> str:
    """Write the report of a day as a whole, in the place of one that was there.

    Returns:
        Its name in the folder.
    """
    place = folder() / "reports" / f"{day:%Y-%m-%d}.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(f".{uuid4().hex}")
    beside.write_text(text, encoding="utf-8")
    # A reader finds the old one or the new one, and never a part.
    beside.replace(place)
    return place.name
