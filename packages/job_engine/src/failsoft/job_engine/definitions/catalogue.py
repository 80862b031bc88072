"""The closed set of jobs of a process, by name."""

from collections.abc import Iterable, Iterator

from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.definitions.importing import definitions_of, shipped
from failsoft.job_engine.errors import (
    DefinitionError,
    DuplicateJobError,
    MissingHandlerError,
    UnknownJobError,
)
from failsoft.job_engine.records.job import Claim
from failsoft.job_engine.validation import did_you_mean


class Catalogue:
    """Jobs by name; a worker runs these and no others.

    Attributes:
        empty_modules: The named modules that add no job: perhaps not what was meant.
    """

    def __init__(self, definitions: Iterable[AnyDefinition] = ()) -> None:
        """Collect the definitions; a bound one takes the place of its declaration alone.

        Raises:
            DuplicateJobError: If two different jobs carry one name.
        """
        self._jobs: dict[str, AnyDefinition] = {}
        self.empty_modules: tuple[str, ...] = ()
        for definition in definitions:
            self._add(definition)

    @classmethod
    def from_modules(cls, names: Iterable[str], also: Iterable[AnyDefinition] = ()) -> "Catalogue":
        """Import modules and collect every definition that they hold or import.

        Raises:
            ConfigurationError: If a module does not import; the message says which and why.
        """
        found = {name: definitions_of(name) for name in names}
        catalogue = cls([*also, *shipped(), *(job for jobs in found.values() for job in jobs)])
        catalogue.empty_modules = tuple(name for name, jobs in found.items() if not jobs)
        return catalogue

    def __iter__(self) -> Iterator[AnyDefinition]:
        """Iterate over the jobs in the order they were added."""
        return iter(self._jobs.values())

    def __contains__(self, name: object) -> bool:
        """Return whether a job of that name is defined."""
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
            none = f"; no job is in {', '.join(self.empty_modules)}" if self.empty_modules else ""
            raise UnknownJobError(
                f"expected one of the known jobs ({known}), got {name!r}"
                f"{did_you_mean(name, self._jobs)}; "
                f"name the module that holds it in FAILSOFT_JOBS{none}"
            ) from None

    def of(self, claim: Claim) -> AnyDefinition:
        """Return the definition by which a claimed job runs.

        Raises:
            UnknownJobError: If there is none; the message lists the known ones.
        """
        return self.get(claim.name).for_payload(claim.payload)

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
                f"none for {', '.join(unbound)}; name the modules that bind them in FAILSOFT_JOBS"
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
