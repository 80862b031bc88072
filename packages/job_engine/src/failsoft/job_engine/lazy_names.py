"""Names of a package that are imported from their modules when they are first used (PEP 562).

A package that gathers names for its users would otherwise import all modules behind them for the
one that is used: a command that prints an error would load every policy of a job.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(package: str, names_by_module: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that has the names of several modules.

    Args:
        package: Its `__name__`.
        names_by_module: The names, by the modules that define them.
    """
    homes = {name: [module] for module, names in names_by_module.items() for name in names}
    return _lookup(package, homes)


def lazily_from(package: str, names: Iterable[str], modules: Sequence[str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package whose names several modules have.

    Args:
        package: Its `__name__`.
        names: What it has.
        modules: Imported one after the other until one has the name.
    """
    return _lookup(package, dict.fromkeys(names, modules))


def _lookup(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    def get(name: str) -> Any:
        for module in map(import_module, homes.get(name, ())):
            if hasattr(module, name):
                value = getattr(module, name)
                # Found there from now on, without this function.
                setattr(sys.modules[package], name, value)
                return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
