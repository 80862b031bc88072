"""The definitions that importing a module brings: its own, and those of what it imports."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import ModuleType

from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.errors import ConfigurationError, FailsoftError

#: Jobs that ship are added by themselves.
_OURS = "failsoft."

#: The jobs of engines' own that a program which uses them has, too, by name.
_shipped: dict[str, AnyDefinition] = {}

#: The modules that were imported first while a named one was, by its name.
_came_with: dict[str, tuple[str, ...]] = {}

#: The job module that this thread is importing.
_importing: ContextVar[str] = ContextVar("importing")


def importing() -> str | None:
    """Return the name of the job module that this thread is importing, if it is."""
    return _importing.get(None)


def ship(definition: AnyDefinition) -> AnyDefinition:
    """Add a job of an engine's own to those of every program that imports its module."""
    _shipped[definition.name] = definition
    return definition


def shipped() -> list[AnyDefinition]:
    """Return the jobs of engines' own that were imported."""
    return list(_shipped.values())


def definitions_of(name: str) -> list[AnyDefinition]:
    """Import a module and return the definitions that come with it, each once.

    Those at its top level, at that of every module that was imported with it, and of the modules
    that it has as names, with their packages: `import orders.jobs` registers the jobs of it.

    Raises:
        ConfigurationError: If it does not import; the message says which and why.
    """
    module = _import(name)
    found = {id(job): job for each in _modules_of(module) for job in _at_top(each)}
    return list(found.values())


def _import(name: str) -> ModuleType:
    before = set(sys.modules)
    imported = _importing.set(name)
    try:
        module = importlib.import_module(name)
    except FailsoftError:
        raise
    except Exception as error:  # an import may raise anything
        raise ConfigurationError(
            f"expected a job module that imports, got {name!r}, which raises "
            f"{type(error).__name__}: {error}; check FAILSOFT_JOBS and the module itself"
        ) from error
    finally:
        _importing.reset(imported)
    _came_with.setdefault(name, tuple(each for each in sys.modules if each not in before))
    return module


def _modules_of(module: ModuleType) -> Iterator[ModuleType]:
    yield module
    known: Mapping[str, ModuleType] = dict(sys.modules)
    named = {each.__name__ for each in vars(module).values() if _is_a(ModuleType, each)}
    within = tuple(f"{name}." for name in named)
    with_it = set(_came_with.get(module.__name__, ()))
    for name, each in known.items():
        if name.startswith(_OURS):
            continue
        if name in with_it or name in named or name.startswith(within):
            yield each


def _at_top(module: object) -> Iterator[AnyDefinition]:
    # Some put objects of their own, or None, into `sys.modules`.
    names = vars(module) if isinstance(module, ModuleType) else {}
    return (value for value in list(names.values()) if _is_a(JobDefinition, value))


def _is_a(kind: type, value: object) -> bool:
    # Not `isinstance`: an object that loads itself when it is used does so for that.
    return issubclass(type(value), kind)
