"""What a console needs of the settings, opened at the first request that needs it."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from failsoft.console.access.settings import Users
from failsoft.console.payloads.policy import Mode
from failsoft.console.settings import ConsoleSettings
from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.ledger import SqlLedger
from failsoft.ledger.read_route import ReadRoute
from failsoft.worker.configuration.settings import Settings, process_settings
from failsoft.worker.ledger_access import open_ledger, open_read_route

if TYPE_CHECKING:
    from failsoft.worker.wiring import App

#: The longest call of the ledger: a page shows what it has rather than wait for a panel.
MOST = timedelta(seconds=2)
#: The connections to PostgreSQL: as many pages as are read at once, roughly.
CONNECTIONS = 8


class ConsoleEnvironment:
    """A console's environment by the settings; safe for several threads.

    Attributes:
        settings: The console's settings.
    """

    def __init__(self, settings: Settings, console: ConsoleSettings) -> None:
        self.settings: ConsoleSettings = console
        timeout = min(settings.ledger_timeout, MOST)
        self._settings = settings.model_copy(update={"ledger_timeout": timeout})
        self._lock = threading.RLock()
        self._ledger: SqlLedger | None = None
        self._reads: ReadRoute = open_read_route(self._settings, self.ledger)
        self._catalogue: Catalogue | None = None
        self._app: App | None = None

    @property
    def engine_names(self) -> tuple[str, ...]:
        """The engines in order of preference."""
        return self._settings.engine_names

    def ledger(self) -> SqlLedger:
        """Return the ledger.

        Raises:
            LedgerUnavailableError: It cannot be opened now; the next call tries again.
        """
        if (ledger := self._ledger) is None:
            with self._lock:
                if self._ledger is None:
                    self._ledger = open_ledger(self._settings, CONNECTIONS)
                ledger = self._ledger
        return ledger

    def reading(self) -> SqlLedger:
        """Return the ledger that pages are read from: a replica while it follows closely.

        Raises:
            ConfigurationError: The replica is another ledger's.
            LedgerUnavailableError: Neither can be opened now.
        """
        return self._reads.ledger()

    @property
    def behind(self) -> timedelta | None:
        """How far behind the ledger pages may be; None while they are read from itself."""
        return self._reads.behind

    def catalogue(self) -> Catalogue:
        """Return the jobs of the settings' modules."""
        with self._lock:
            if self._catalogue is None:
                # Imported here, with what job modules import: a page may never ask for it.
                from failsoft.worker.bundled_jobs import load_catalogue  # noqa: PLC0415 - see above

                self._catalogue = load_catalogue(self._settings)
            return self._catalogue

    def dispatcher(self) -> Dispatcher:
        """Return the dispatcher to the ledger."""
        return self._built().dispatcher

    def engines(self) -> EngineSet:
        """Return the engines, to probe them."""
        return self._built().engines

    def close(self) -> None:
        """Close what was opened."""
        self._reads.close()
        with self._lock:
            if self._app is not None:
                self._app.close()
            elif self._ledger is not None:
                self._ledger.database.close()

    def _built(self) -> "App":
        with self._lock:
            if self._app is None:
                # Imported here, with the libraries of all engines: most consoles only look.
                from failsoft.worker.wiring import build  # noqa: PLC0415 - see above

                self._app = build(self._settings)
            return self._app


def console_settings(settings: Settings) -> ConsoleSettings:
    """Return what the settings say of a console.

    Raises:
        ConfigurationError: An entry of the users or the tokens is wrong.
    """
    users = Users.read(
        settings.console_users.get_secret_value(), settings.console_tokens.get_secret_value()
    )
    return ConsoleSettings(
        enabled=bool(settings.console),
        users=users,
        payloads=Mode(settings.console_payloads),
        title=settings.console_title,
        log_url=settings.console_log_url,
    )


def console_environment() -> ConsoleEnvironment:
    """Return the environment of a console that is mounted; found as an entry point.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    settings = process_settings()
    return ConsoleEnvironment(settings, console_settings(settings))


def own_environment(settings: Settings, **changes: object) -> ConsoleEnvironment:
    """Return the environment of a console that runs alone, with some of its settings changed."""
    decided = replace(console_settings(settings), enabled=True, **changes)  # type: ignore[arg-type]
    return ConsoleEnvironment(settings, decided)
