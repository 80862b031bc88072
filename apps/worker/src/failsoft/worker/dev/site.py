"""The servers and the ledger of `failsoft dev`, in one folder, and their addresses."""

import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.plugins.plugin import AnyPlugin
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineUnavailableError, FailsoftError
from failsoft.job_engine.ports.engine import OwnedEngineAdapter
from failsoft.job_engine.values.redaction import redacted_url
from failsoft.ledger import SqlLedger
from failsoft.ledger.opening import shared_database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.engine_sites import sites

#: How long a server of ours may take to say whose it is.
OWNER_BUDGET = timedelta(seconds=1)


class DevRunsAlreadyError(FailsoftError):
    """Another `failsoft dev` runs in this folder."""


class DevSite:
    """A server for each engine and a SQLite ledger, unless the settings name others.

    As a context manager it starts and stops them. The ports stay the same from one run to the
    next, so that `environment` stays valid.

    Attributes:
        env_file: The file that holds `environment` as lines for a shell.
        environment: The variables that other programs need, once it is started.
        addresses: The same with passwords masked, and with servers that were set by the user.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder.resolve()
        self._stack = ExitStack()
        self.env_file: Path = self._folder / "env"
        self.environment: dict[str, str] = {}
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start what is missing, and write the addresses to `env_file`.

        Raises:
            EngineUnavailableError: No server could be started; the message says what to install.
            DevRunsAlreadyError: The folder is in use.
        """
        with self._stack:
            self._prepare_folder()
            self._stack.enter_context(_locked(self._folder / "dev.lock"))
            before = _read_exports(self.env_file)
            theirs = _given(self._settings, before)
            for plugin, site in sites(self._settings):
                address = plugin.address(site.settings)
                variable = site.variables[address[0]] if address else None
                if variable is not None and variable not in theirs:
                    url = self._start_server(plugin, site.name, before.get(variable))
                    if url is not None:
                        self.environment[variable] = url
            if "FAILSOFT_LEDGER_URL" not in theirs:
                self.environment["FAILSOFT_LEDGER_URL"] = self._upgrade_ledger()
                self._take_over()
            self._write_exports()
            shown = {variable: redacted_url(url) for variable, url in theirs.items()}
            self.addresses = shown | self.environment
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def exports(self) -> str:
        """Return the environment as lines for a shell."""
        return "".join(f"export {k}={shlex.quote(v)}\n" for k, v in self.environment.items())

    def _prepare_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignored = self._folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")

    def _start_server(self, plugin: AnyPlugin, name: str, before: str | None) -> str | None:
        """Start an engine's own server, where it was the last time if the port is free."""
        try:
            server = plugin.embedded(self._folder / name, before)
            if server is None:
                return None
            server.start()
        except FailsoftError as error:
            if before is None:
                raise EngineUnavailableError(str(error)) from error
            # Another process has the port by now.
            return self._start_server(plugin, name, None)
        self._stack.callback(server.stop)
        return server.url

    def _upgrade_ledger(self) -> str:
        url = f"sqlite:///{self._folder / 'ledger.db'}"
        with closing(shared_database(url)) as database:
            upgrade(database)
        return url

    def _take_over(self) -> None:
        """Mark the servers as this ledger's: they may have served one that was deleted."""
        with closing(shared_database(self.environment["FAILSOFT_LEDGER_URL"])) as database:
            ledger_id = SqlLedger(database).ledger_id()
        with _environment(self.environment):
            ours = list(sites(load_settings()))
        for plugin, site in ours:
            address = plugin.address(site.settings)
            if address and site.variables[address[0]] in self.environment and ledger_id is not None:
                _own(plugin.build(site), ledger_id)

    def _write_exports(self) -> None:
        self.env_file.touch(mode=0o600)
        self.env_file.write_text(self.exports())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that is released when this process ends, however it ends."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DevRunsAlreadyError(
                f"expected no other `failsoft dev` in {path.parent}, got one with process id "
                f"{file.read().strip()}; stop it, or work in another folder"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _read_exports(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    words = shlex.split(path.read_text())
    return dict(word.split("=", 1) for word in words if "=" in word)


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _own(engine: Engine, ledger_id: str) -> None:
    adapter, deadline = engine.adapter, Deadline.after(SystemClock(), OWNER_BUDGET)
    if isinstance(adapter, OwnedEngineAdapter):
        with closing(engine.caller):
            adapter.owner(ledger_id, deadline, "take_over")


def _given(settings: Settings, before: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses that the user has set, and not `source`d from an earlier run."""
    candidates = {
        "FAILSOFT_LEDGER_URL": settings.ledger_url
        if "ledger_url" in settings.model_fields_set
        else None
    }
    for plugin, site in sites(settings):
        if (address := plugin.address(site.settings)) is not None:
            candidates[site.variables[address[0]]] = address[1]
    return {name: url for name, url in candidates.items() if url and url != before.get(name)}
