"""Names of a package that are imported from their modules when they are first used (PEP 562).

A package that gathers names for its users would otherwise import all modules behind them for the
one that is used: a command that prints an error would load every policy of a job.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(package: str, names_by_module: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that has the names of several modules.

    Args:
        package: Its `__name__`.
        names_by_module: The names, by the modules that define them.
    """
    homes = {name: module for module, names in names_by_module.items() for name in names}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        # Found there from now on, without this function.
        setattr(sys.modules[package], name, value)
        return value

    return get
