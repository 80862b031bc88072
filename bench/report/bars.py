"""What a figure is to reach, and whether it did: for rows that are not made of rounds."""

from typing import Any

#: Units that stand behind a limit; any other words say what is compared with it.
_UNITS = ("x", "%", "ms")


def at_most(what: str, limit: float, found: float) -> dict[str, Any]:
    """Return the target of a figure that is to be small, and the verdict.

    Args:
        what: The unit, or what is compared; empty where the row's name says it.
        limit: The most that the figure may be.
        found: The figure.
    """
    return {"target": _target(what, "≤", limit), "met": found <= limit}


def at_least(what: str, limit: float, found: float) -> dict[str, Any]:
    """Return the target of a figure that is to be large, and the verdict; as `at_most`."""
    return {"target": _target(what, "≥", limit), "met": found >= limit}


def _target(what: str, sign: str, limit: float) -> str:
    if what in _UNITS:
        return f"{sign} {limit:g}{what if what in ('x', '%') else f' {what}'}"
    return f"{what} {sign} {limit:g}".strip()
