"""The configuration of engines, and how they are found by their entry points."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from failsoft.dispatcher.offering.engines import Engine
from failsoft.job_engine.errors import ConfigurationError

#: Every entry point of this group is a function from `EngineConfig` to `Engine`.
ENGINES_GROUP = "failsoft.engines"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The settings that engines share.

    Attributes:
        primary_url: RQ's Redis.
        fallback_url: Dramatiq's broker.
        namespace: Prefixed to every queue name.
    """

    primary_url: str
    fallback_url: str
    namespace: str


def build_engines(names: tuple[str, ...], config: EngineConfig) -> dict[str, Engine]:
    """Build the named engines, in their order.

    Raises:
        ConfigurationError: If an engine is not installed; the message lists those that are.
    """
    found: dict[str, Callable[[EngineConfig], Engine]] = {
        entry.name: entry.load()
        for entry in entry_points(group=ENGINES_GROUP)
        if entry.name in names
    }
    missing = [name for name in names if name not in found]
    if missing:
        known = ", ".join(sorted(entry_points(group=ENGINES_GROUP).names))
        raise ConfigurationError(
            f"expected installed engines ({known}), got {', '.join(missing)}; "
            "check FAILSOFT_ENGINES"
        )
    return {name: found[name](config) for name in names}
