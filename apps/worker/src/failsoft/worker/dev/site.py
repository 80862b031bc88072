"""The servers and the ledger of `failsoft dev`, in one folder, and their addresses."""

import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from failsoft.queue.redis_owner import redis_owner
from failsoft.job_engine.errors import EngineUnavailableError, FailsoftError
from failsoft.job_engine.values.redaction import redacted_url
from failsoft.ledger import SqlLedger
from failsoft.ledger.opening import shared_database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.queue import shared_client
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.dev.embedded_valkey import EmbeddedServerError, EmbeddedValkey

#: What is queued survives a restart of `failsoft dev`.
_CONFIG = {"appendonly": "yes"}


class DevRunsAlreadyError(FailsoftError):
    """Another `failsoft dev` runs in this folder."""


class DevSite:
    """Two Valkey servers and a SQLite ledger, as far as the settings name no others.

    As a context manager it starts and stops them. The ports stay the same from one run to the
    next, so that what `environment` said goes on being true.

    Attributes:
        env_file: The file that holds `environment` as lines for a shell.
        environment: What other programs need to know, once it is started.
        addresses: The same for people, with the servers that were there before.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Keep everything in a folder of its own."""
        self._settings = settings
        self._folder = folder.resolve()
        self._stack = ExitStack()
        self.env_file: Path = self._folder / "env"
        self.environment: dict[str, str] = {}
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start what is missing, and write down where it is.

        Raises:
            EngineUnavailableError: No server could be started; the message says what to install.
            DevRunsAlreadyError: The folder is in use.
        """
        with self._stack:
            self._prepare_folder()
            self._stack.enter_context(_locked(self._folder / "dev.lock"))
            before = _read_exports(self.env_file)
            theirs = _given(self._settings, before)
            for variable, name in (("REDIS_URL", "redis"), ("AMQP_URL", "broker")):
                if variable not in theirs:
                    url = self._start_server(self._folder / name, before.get(variable))
                    self.environment[variable] = url
            if "FAILSOFT_LEDGER_URL" not in theirs:
                self.environment["FAILSOFT_LEDGER_URL"] = self._upgrade_ledger()
                self._take_over()
            self._write_exports()
            shown = {variable: redacted_url(url) for variable, url in theirs.items()}
            self.addresses = shown | self.environment
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started."""
        self._stack.close()

    def exports(self) -> str:
        """Return the environment as lines for a shell."""
        return "".join(f"export {k}={shlex.quote(v)}\n" for k, v in self.environment.items())

    def _prepare_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignored = self._folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")

    def _start_server(self, folder: Path, before: str | None) -> str:
        port = urlsplit(before).port if before else None
        try:
            return self._serve(folder, port)
        except EmbeddedServerError as error:
            if port is None:
                raise EngineUnavailableError(str(error)) from error
        # Somebody else has the port by now.
        return self._start_server(folder, None)

    def _serve(self, folder: Path, port: int | None) -> str:
        server = EmbeddedValkey(folder, port=port, config=_CONFIG)
        return self._stack.enter_context(server).url

    def _upgrade_ledger(self) -> str:
        url = f"sqlite:///{self._folder / 'ledger.db'}"
        with closing(shared_database(url)) as database:
            upgrade(database)
        return url

    def _take_over(self) -> None:
        """Make our servers this ledger's: they may have served one that was deleted."""
        with closing(shared_database(self.environment["FAILSOFT_LEDGER_URL"])) as database:
            ledger_id = SqlLedger(database).ledger_id()
        for variable in ("REDIS_URL", "AMQP_URL"):
            if variable in self.environment and ledger_id is not None:
                client = shared_client(self.environment[variable], "dev")
                redis_owner(client, self._settings.namespace, ledger_id, "take_over")

    def _write_exports(self) -> None:
        self.env_file.touch(mode=0o600)
        self.env_file.write_text(self.exports())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends."""
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


def _given(settings: Settings, before: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses that the user has set, and not `source`d from an earlier run."""
    named = settings.model_fields_set
    has_redis = settings.redis_url or named & {"redis_host", "redis_port"}
    candidates = {
        "REDIS_URL": settings.primary_url if has_redis else None,
        "AMQP_URL": settings.amqp_url if "amqp_url" in named else None,
        "FAILSOFT_LEDGER_URL": settings.ledger_url if "ledger_url" in named else None,
    }
    return {name: url for name, url in candidates.items() if url and url != before.get(name)}
