"""Check that the installed libraries have supported versions."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from failsoft.worker.doctor.finding import Finding, failure, fine


@dataclass(frozen=True, slots=True)
class Supported:
    """The versions of a library that are supported.

    Attributes:
        name: The library.
        first: The first version, as `(major, minor, ...)`.
        before: The first major version that is too new; None where there is no such limit.
    """

    name: str
    first: tuple[int, ...]
    before: int | None = None

    def includes(self, found: str) -> bool:
        """Whether a version is supported."""
        numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
        return numbers >= self.first and (self.before is None or numbers[0] < self.before)

    def __str__(self) -> str:
        least = f"{self.name}>={'.'.join(map(str, self.first))}"
        return least if self.before is None else f"{least},<{self.before}"


#: As the members of the workspace require them.
SUPPORTED = (
    Supported("rq", (3,), 4),
    Supported("dramatiq", (2, 2), 3),
    Supported("redis", (6,)),
    Supported("sqlalchemy", (2, 0, 44)),
)


def look_at_versions() -> Iterator[Finding]:
    """Compare what is installed with what is supported."""
    for each in SUPPORTED:
        found = version(each.name)
        if each.includes(found):
            yield fine(f"version {each.name}", found)
        else:
            yield failure(f"version {each.name}", found, f"pip install '{each}'")
