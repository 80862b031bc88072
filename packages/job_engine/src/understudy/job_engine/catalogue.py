"""The closed set of jobs a process knows, by name."""

import importlib
from collections.abc import Iterable, Iterator
from types import ModuleType

from understudy.job_engine.definition import AnyDefinition, JobDefinition
from understudy.job_engine.errors import (
    ConfigurationError,
    DefinitionError,
    DuplicateJobError,
    MissingHandlerError,
    UnderstudyError,
    UnknownJobError,
)


class Catalogue:
    """Jobs by name; a worker runs these and no others."""

    def __init__(self, definitions: Iterable[AnyDefinition] = ()) -> None:
        """Collect the definitions; a bound one takes the place of its mere declaration.

        Raises:
            DuplicateJobError: If two different jobs carry one name.
        """
        self._jobs: dict[str, AnyDefinition] = {}
        for definition in definitions:
            self._add(definition)

    @classmethod
    def from_modules(cls, names: Iterable[str], also: Iterable[AnyDefinition] = ()) -> "Catalogue":
        """Import modules and collect every definition they hold at their top level.

        Raises:
            ConfigurationError: If a module does not import; the message says which and why.
        """
        modules = [_import(name) for name in names]
        return cls([*also, *(job for module in modules for job in _definitions(module))])

    def __iter__(self) -> Iterator[AnyDefinition]:
        """Iterate over the jobs in the order they were added."""
        return iter(self._jobs.values())

    def __contains__(self, name: object) -> bool:
        """Tell whether a job of that name is known."""
        return name in self._jobs

    def get(self, name: str) -> AnyDefinition:
        """Return the job of that name.

        Raises:
            UnknownJobError: If there is none; the message lists the known ones.
        """
        try:
            return self._jobs[name]
        except KeyError:
            known = ", ".join(sorted(self._jobs)) or "none"
            raise UnknownJobError(
                f"expected one of the known jobs ({known}), got {name!r}; "
                "name the module that holds it in UNDERSTUDY_JOBS"
            ) from None

    def require_handlers(self, queues: Iterable[str]) -> None:
        """Check that every job of these queues can run here.

        Raises:
            MissingHandlerError: If some cannot; the message names them all.
            DefinitionError: If payloads of an older version of some could not be read.
        """
        wanted = set(queues)
        unbound = sorted(
            job.name for job in self if job.handler is None and job.queue.name in wanted
        )
        if unbound:
            raise MissingHandlerError(
                f"expected a handler for every job of queues {', '.join(sorted(wanted))}, got "
                f"none for {', '.join(unbound)}; name the modules that bind them in UNDERSTUDY_JOBS"
            )
        self._require_upgrades(wanted)

    def _require_upgrades(self, queues: set[str]) -> None:
        gaps = [
            f"{job.name} from version {', '.join(map(str, missing))}"
            for job in self
            if job.queue.name in queues and (missing := job.upgrades.missing(job.version))
        ]
        if gaps:
            raise DefinitionError(
                f"expected an upgrade from every older version of a payload, got none for "
                f"{'; '.join(gaps)}; add them with `@definition.upgrade(from_version=...)`"
            )

    def _add(self, definition: AnyDefinition) -> None:
        known = self._jobs.setdefault(definition.name, definition)
        if known.declaration != definition.declaration or not _agree(known, definition):
            raise DuplicateJobError(
                f"expected one job named {definition.name!r}, got two; rename one of them"
            )
        if known.handler is None:
            self._jobs[definition.name] = definition


def _agree(known: AnyDefinition, other: AnyDefinition) -> bool:
    return None in (known.handler, other.handler) or known.handler == other.handler


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UnderstudyError:
        raise
    except Exception as error:  # an import may raise anything
        raise ConfigurationError(
            f"expected a job module that imports, got {name!r}, which raises "
            f"{type(error).__name__}: {error}; check UNDERSTUDY_JOBS and the module itself"
        ) from error


def _definitions(module: ModuleType) -> list[AnyDefinition]:
    return [value for value in vars(module).values() if isinstance(value, JobDefinition)]
