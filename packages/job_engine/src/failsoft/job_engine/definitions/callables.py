"""Functions that a payload may name by their path: a closed list, read once, before any job runs.

A path in a payload would let whatever can write to the ledger choose code to import. So a worker
imports the modules of FAILSOFT_CALLABLES when it starts, collects the functions that they define,
and calls no other; a path elsewhere is never imported.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from failsoft.job_engine.errors import ConfigurationError, FailsoftError, MissingHandlerError
from failsoft.job_engine.validation import did_you_mean, shown

Function = Callable[..., Any]

SETTING = "FAILSOFT_CALLABLES"

#: The modules of this process, as its settings name them.
_modules: tuple[str, ...] = ()


class CallableRefusedError(FailsoftError):
    """The path of a function is in no module of FAILSOFT_CALLABLES; it is not imported."""


def allow_callables(modules: Sequence[str]) -> None:
    """Make these the modules whose functions payloads of this process may name."""
    global _modules  # noqa: PLW0603 - the settings of a process, as its dispatcher is
    _modules = tuple(modules)


def allowed_modules() -> Sequence[str]:
    """Return the modules whose functions payloads of this process may name."""
    return _modules


def expect_allowed(path: str) -> None:
    """Refuse the path of a function outside of the allowed modules; nothing is imported.

    Raises:
        CallableRefusedError: It is outside of them, or there are none.
    """
    if _module_of(path, _modules) is None:
        known = ", ".join(_modules) or "none"
        raise CallableRefusedError(
            f"expected the path of a function in one of the modules of {SETTING} ({known}), got "
            f"{shown(path)}{did_you_mean(path.rpartition('.')[0], _modules)}; add its module "
            "there, and start the workers again"
        )


class Callables:
    """The functions of some modules, by their paths."""

    def __init__(self, modules: Sequence[str]) -> None:
        """Import the modules and collect the functions that they define.

        Raises:
            ConfigurationError: One does not import; the message says which and why.
        """
        self._functions: Mapping[str, Function] = {
            path: function
            for name in modules
            for path, function in _defined_in(_imported(name), modules)
        }

    def find(self, path: str) -> Function:
        """Return the function at a path.

        Raises:
            CallableRefusedError: The path is in none of the allowed modules.
            MissingHandlerError: Its module has no such function, perhaps not yet.
        """
        expect_allowed(path)
        try:
            return self._functions[path]
        except KeyError:
            raise MissingHandlerError(
                f"expected a function at {path}, got none that its module defines"
                f"{did_you_mean(path, self._functions)}; deploy the code that has it"
            ) from None


def _module_of(path: str, modules: Sequence[str]) -> str | None:
    fitting = [name for name in modules if path.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except FailsoftError:
        raise
    except Exception as error:  # an import may raise anything
        raise ConfigurationError(
            f"{SETTING}: expected a module that imports, got {name!r}, which raises "
            f"{type(error).__name__}: {error}; check the setting and the module itself"
        ) from error


def _defined_in(module: ModuleType, modules: Sequence[str]) -> Iterator[tuple[str, Function]]:
    for name, value in list(vars(module).items()):
        # Not `os.system` because a module imports it: only what an allowed module defines.
        if getattr(value, "__module__", None) not in modules:
            continue
        if inspect.isfunction(value):
            yield f"{module.__name__}.{name}", value
        elif inspect.isclass(value):
            yield from _methods_of(f"{module.__name__}.{name}", value)


def _methods_of(path: str, kind: type) -> Iterator[tuple[str, Function]]:
    for name, value in vars(kind).items():
        if isinstance(value, staticmethod | classmethod):
            yield f"{path}.{name}", getattr(kind, name)
