"""Reading what the workers logged: one JSON object a line."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def refusals(log: Path) -> int:
    """Count the stale messages that the workers of a host refused."""
    refused = (line for line in _lines(log) if line.get("event") == "message.refused")
    # A line may stand for several that were not logged.
    return sum(int(line.get("suppressed", 1)) for line in refused)


def logged_errors(log: Path) -> list[str]:
    """Return what the workers of a host logged as an error."""
    return [
        f"{log.stem}: {line.get('event')} {line.get('job_id', '')} {line.get('error_type', '')}"
        for line in _lines(log)
        if line.get("level") in ("error", "critical")
    ]


def _lines(log: Path) -> Iterator[Mapping[str, Any]]:
    texts = log.read_text(errors="replace").splitlines() if log.exists() else []
    for text in texts:
        try:
            found = json.loads(text)
        except ValueError:
            # A line that is being written, or output of Python's own.
            continue
        if isinstance(found, dict):
            yield found
