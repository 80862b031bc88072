"""What a figure is to reach, and whether it did."""

from typing import Any


def at_most(what: str, limit: float, found: float) -> dict[str, Any]:
    """Return the target of a figure that is to be small, and the verdict."""
    return {"target": f"{what} at most {limit:g}", "met": found <= limit}


def at_least(what: str, limit: float, found: float) -> dict[str, Any]:
    """Return the target of a figure that is to be large, and the verdict."""
    return {"target": f"{what} at least {limit:g}", "met": found >= limit}
