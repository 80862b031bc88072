"""The engines as the settings name them: their plug-ins, and what each is built from."""

from collections.abc import Iterator, Sequence

from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import AnyPlugin, AnySite, EngineSite, WaitingOffers
from failsoft.job_engine.errors import ConfigurationError, LedgerUnavailableError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.job_engine.validation import did_you_mean
from failsoft.worker.configuration.engine_settings import shown_variables
from failsoft.worker.configuration.settings import Settings


class NoOffers:
    """`WaitingOffers` of a program that has no ledger open."""

    def take(self, engine: str, queue: str, limit: int) -> Sequence[Message]:
        """Raise: there is no ledger."""
        raise LedgerUnavailableError("expected an open ledger, got none")

    def count(self, engine: str, queue: str) -> int:
        """Raise: there is no ledger."""
        raise LedgerUnavailableError("expected an open ledger, got none")


class LedgerOffers:
    """`WaitingOffers` of a ledger that is opened after the engines were built."""

    def __init__(self) -> None:
        self._parts: tuple[Ledger, KeyRing] | None = None

    def bind(self, ledger: Ledger, keys: KeyRing) -> None:
        """Read from a ledger, and sign with its keys."""
        self._parts = (ledger, keys)

    def take(self, engine: str, queue: str, limit: int) -> Sequence[Message]:
        """Return the offers to process first, signed."""
        ledger, keys = self._bound()
        offers = ledger.offered(engine, queue, limit)
        return [keys.sign(job_id, epoch, engine) for job_id, epoch in offers]

    def count(self, engine: str, queue: str) -> int:
        """Return how many wait."""
        ledger, _ = self._bound()
        return ledger.count_offered(engine, queue)

    def _bound(self) -> tuple[Ledger, KeyRing]:
        if self._parts is None:
            raise LedgerUnavailableError("expected an open ledger, got none")
        return self._parts


def site_of(
    settings: Settings, name: str, offers: WaitingOffers | None = None
) -> tuple[AnyPlugin, AnySite]:
    """Return the plug-in of an engine, and what it is built from.

    Raises:
        ConfigurationError: The engine is not installed, cannot be imported, or a setting is wrong.
    """
    engine = next(each for each in settings.engines if each.name == name)
    site = EngineSite(
        name,
        settings.of_engine(name),
        settings.namespace,
        offers or NoOffers(),
        shown_variables(engine),
    )
    return plugin(engine.kind), site


def expect_engine(settings: Settings, *names: str) -> None:
    """Refuse engines that the settings do not name.

    Raises:
        ConfigurationError: The message says which they name.
    """
    for name in names:
        if name not in settings.engine_names:
            raise ConfigurationError(
                f"expected an engine of FAILSOFT_ENGINES ({', '.join(settings.engine_names)}), got "
                f"{name}{did_you_mean(name, settings.engine_names)}; add it there, or serve another"
            )


def sites(settings: Settings) -> Iterator[tuple[AnyPlugin, AnySite]]:
    """Yield the engines that get offers, in order of preference."""
    return (site_of(settings, name) for name in settings.offered_engines)


def build_engines(settings: Settings, offers: WaitingOffers | None = None) -> dict[str, Engine]:
    """Build the half that offers of every engine, in order of preference.

    Raises:
        ConfigurationError: An engine is not installed, cannot be imported, or a setting is wrong.
    """
    built = ((name, site_of(settings, name, offers)) for name in settings.engine_names)
    return {name: found.build(site) for name, (found, site) in built}


def release_engines(settings: Settings) -> None:
    """Close the connections of this process that its engines share."""
    for kind in {engine.kind for engine in settings.engines}:
        plugin(kind).release()
