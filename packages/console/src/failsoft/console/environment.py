"""What the console needs of the program that it is part of."""

from datetime import timedelta
from importlib.metadata import entry_points
from typing import Protocol

from failsoft.console.settings import ConsoleSettings
from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.handles.job import HandleLedger
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.ports.console import ConsoleLedger
from failsoft.job_engine.ports.ledger import WorkerLedger
from failsoft.job_engine.ports.measures import MeasureLedger
from failsoft.job_engine.ports.routes import RouteLedger

#: Entry points that make an environment from the settings; the worker app has one.
ENVIRONMENT_GROUP = "failsoft.app"
ENVIRONMENT_NAME = "console"


class Ledger(HandleLedger, WorkerLedger, RouteLedger, MeasureLedger, ConsoleLedger, Protocol):
    """The ledger as the console needs it."""


class Environment(Protocol):
    """Where everything comes from; opened at the first request that needs it."""

    @property
    def settings(self) -> ConsoleSettings:
        """The settings; known without any server."""
        ...

    @property
    def engine_names(self) -> tuple[str, ...]:
        """The engines in order of preference."""
        ...

    def ledger(self) -> Ledger:
        """Return the ledger, whose calls take two seconds at most.

        Raises:
            LedgerUnavailableError: It cannot be opened now; the next call tries again.
        """
        ...

    def reading(self) -> Ledger:
        """Return what pages are read from: the ledger, or a replica that follows it closely.

        Raises:
            LedgerUnavailableError: Neither can be opened now; the next call tries again.
        """
        ...

    @property
    def behind(self) -> timedelta | None:
        """How far behind the ledger that may be; None where it is the ledger itself."""
        ...

    def catalogue(self) -> Catalogue:
        """Return the jobs of the program."""
        ...

    def dispatcher(self) -> Dispatcher:
        """Return the dispatcher to the ledger."""
        ...

    def engines(self) -> EngineSet:
        """Return the engines, to probe them."""
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...


def installed_environment() -> Environment:
    """Return the environment that the installed worker app makes from its settings.

    Raises:
        ConfigurationError: A setting is wrong, or nothing that reads settings is installed.
    """
    for entry in entry_points(group=ENVIRONMENT_GROUP, name=ENVIRONMENT_NAME):
        environment: Environment = entry.load()()
        return environment
    raise ConfigurationError(
        "expected an installed `failsoft-worker`, which reads the settings, got none; "
        "run `pip install failsoft[console]`, or give console(...) an environment"
    )
