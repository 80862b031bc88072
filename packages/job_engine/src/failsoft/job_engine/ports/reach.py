"""Which waiting jobs are a process's to offer: what it has no engine for is not its to judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Offerable(Protocol):
    """What is looked at of a job."""

    @property
    def engines(self) -> Sequence[str]:
        """The engines that it may run on; empty allows all."""
        ...

    @property
    def engine(self) -> str | None:
        """The engine that it was offered to last."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """Which waiting jobs a process may offer.

    Attributes:
        engines: The engines that it offers to. Jobs that may only run on others are left to the
            processes that have those.
        others: Engines that it does not have, with live workers: what was offered there, their
            processes look into.
    """

    engines: frozenset[str]
    others: frozenset[str] = frozenset()

    def may_offer(self, job: Offerable) -> bool:
        """Return whether the process has an engine that the job may run on."""
        return not job.engines or not self.engines.isdisjoint(job.engines)

    def may_look_into(self, job: Offerable) -> bool:
        """Return whether an offer that was not claimed is the process's to look into."""
        return self.may_offer(job) and job.engine not in self.others
