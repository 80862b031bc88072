"""The engines as the settings name them: their plug-ins, and what each is built from."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import AnyPlugin, AnySite, EngineSite, WaitingOffers
from failsoft.job_engine.errors import (
    ConfigurationError,
    JobNotFoundError,
    LedgerUnavailableError,
)
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.offered import OfferWatch
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.validation import did_you_mean
from failsoft.worker.configuration.engine_settings import shown_variables
from failsoft.worker.configuration.settings import Settings


def _no_ledger() -> tuple[Ledger, KeyRing]:
    raise LedgerUnavailableError("expected an open ledger, got none")


class LedgerOffers:
    """`WaitingOffers` of a ledger that is opened after the engines were built, or not at all.

    Args:
        opened: Returns the ledger and its keys when they are needed.
    """

    def __init__(self, opened: Callable[[], tuple[Ledger, KeyRing]] = _no_ledger) -> None:
        self._opened = opened

    def bind(self, ledger: Ledger, keys: KeyRing) -> None:
        """Read from a ledger, and sign with its keys."""
        self._opened = lambda: (ledger, keys)

    def take(self, engine: str, queue: str, limit: int) -> Sequence[Message]:
        """Return the offers to process first, signed."""
        ledger, keys = self._opened()
        offers = ledger.take_offers(engine, queue, limit)
        return [keys.sign(job_id, epoch, engine) for job_id, epoch in offers]

    def holds(self, engine: str, queue: str, message: Message) -> bool:
        """Return whether an offer waits for its claim."""
        ledger, _ = self._opened()
        try:
            job = ledger.get(message.job_id)
        except JobNotFoundError:
            return False
        waits = (JobState.OFFERED, message.epoch, engine, queue)
        return (job.state, job.epoch, job.engine, job.queue) == waits

    def count(self, engine: str, queue: str) -> int:
        """Return how many wait, up to a number beyond which they are not counted."""
        ledger, _ = self._opened()
        return ledger.count_offers(engine, queue)

    def expect_writable(self, within: timedelta) -> None:
        """Make a write that changes nothing."""
        ledger, _ = self._opened()
        ledger.expect_writable(within)

    def wake(self, engine: str, queue: str, within: timedelta) -> None:
        """Let the workers that wait look now, where the ledger's database can."""
        ledger, _ = self._opened()
        ledger.wake_workers(engine, queue, within)

    def watch(self, engine: str, queue: str) -> OfferWatch:
        """Return what a worker of a queue waits with; opens no connection yet."""
        ledger, _ = self._opened()
        return ledger.watch_offers(engine, queue)


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
        offers or LedgerOffers(),
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


def sites(
    settings: Settings, offers: WaitingOffers | None = None
) -> Iterator[tuple[AnyPlugin, AnySite]]:
    """Yield the engines that get offers, in order of preference."""
    return (site_of(settings, name, offers) for name in settings.offered_engines)


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
