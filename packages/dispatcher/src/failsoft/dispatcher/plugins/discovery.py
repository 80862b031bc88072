"""Finding the plug-ins that are installed."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from failsoft.dispatcher.plugins.plugin import AnyPlugin, EnginePlugin
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.validation import did_you_mean

#: Every entry point of this group is an `EnginePlugin`.
GROUP = "failsoft.engines"
#: Engines of Failsoft's own that are distributions of their own.
OURS = "failsoft-engine-"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class EngineName:
    """One engine of `FAILSOFT_ENGINES`: `rq`, or `eu=rq` for one that the operator calls `eu`."""

    name: str
    kind: str

    @classmethod
    def parse(cls, text: str) -> "EngineName":
        """Read one entry.

        Raises:
            ValueError: If a name is none.
        """
        name, alias, kind = text.partition("=")
        for each in (name, kind if alias else name):
            if _NAME.fullmatch(each) is None:
                raise ValueError(
                    "expected engines like rq or eu=rq, of at most 32 lower-case letters, digits "
                    f"and dashes that begin with a letter, got {text!r}"
                )
        return cls(name, kind or name)

    def __str__(self) -> str:
        return self.name if self.name == self.kind else f"{self.name}={self.kind}"


def check_names(names: Sequence[EngineName]) -> None:
    """Refuse two engines of one name.

    Raises:
        ValueError: The message says how to name them.
    """
    for name in {each.name for each in names}:
        same = [str(each) for each in names if each.name == name]
        if len(same) > 1:
            raise ValueError(
                f"expected a name for each engine, got {', '.join(same)}; "
                f"give one of them another, as in eu={same[0].rpartition('=')[2]}"
            )


def installed() -> tuple[str, ...]:
    """Return the kinds of engines that are installed, by name; none is imported."""
    return tuple(sorted(_entries()))


@lru_cache
def plugin(kind: str) -> AnyPlugin:
    """Import the plug-in of a kind.

    Raises:
        ConfigurationError: If it is not installed, or cannot be imported.
    """
    entry = _entries().get(kind)
    if entry is None:
        raise ConfigurationError(_not_installed(kind))
    try:
        found = entry.load()
    except Exception as error:
        raise ConfigurationError(
            f"expected engine {kind!r} to be importable, got {type(error).__name__}: {error}; "
            f"repair {_distribution(entry)}, or leave {kind} out of FAILSOFT_ENGINES "
            f"(installed: {', '.join(installed())})"
        ) from error
    if not isinstance(found, EnginePlugin):
        raise ConfigurationError(
            f"expected an EnginePlugin at the entry point {entry.value} of engine {kind!r}, "
            f"got {type(found).__name__}; repair {_distribution(entry)}"
        )
    return found


def distribution(kind: str) -> str:
    """Return what a kind of engine was installed with, and its version, as in `name 1.2`."""
    entry = _entries()[kind]
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module


def _entries() -> Mapping[str, EntryPoint]:
    return _entries_on(tuple(sys.path))


@lru_cache(maxsize=1)
def _entries_on(path: Sequence[str]) -> Mapping[str, EntryPoint]:
    # Each look reads a file of every distribution on the path: tens of milliseconds where they are
    # many.
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _not_installed(kind: str) -> str:
    known = installed()
    guess = did_you_mean(kind, known)
    remedy = "" if guess else f", or pip install {OURS}{kind} if there is one"
    return (
        f"expected installed engines ({', '.join(known)}), got {kind}{guess}; "
        f"check FAILSOFT_ENGINES{remedy}"
    )
