"""A private PgBouncer, from the system's package, before a PostgreSQL server."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import psycopg

from tests.servers.postgresql.postgres import unprivileged_user
from tests.servers.processes import PATIENCE, Process, free_port, wait_until
from tests.servers.server import Server

MISSING = "expected PgBouncer, got none; run: tests/servers/install pgbouncer"
#: Debian's is where only root's PATH looks.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
PoolMode = Literal["transaction", "session", "statement"]
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addr": "127.0.0.1",
        "unix_socket_dir": "",
        # On the server everyone is the user of the connection string below.
        "auth_type": "any",
        "admin_users": "postgres",
        "max_client_conn": "500",
        "default_pool_size": "20",
        # A server that is gone is tried again soon, and a client waits no longer than this for one.
        "server_login_retry": "1",
        "server_connect_timeout": "2",
        "query_wait_timeout": "10",
    }
)


class PgBouncer(Server):
    """Pools the sessions of one PostgreSQL for every database and user.

    Args:
        folder: Where configuration and log go. Under root PgBouncer runs as `nobody`, who must be
            able to reach it, so it cannot be a `tmp_path`.
        server_port: The port of the PostgreSQL that it stands before.
        mode: When a client gives its session back.
        settings: Further settings of the section `[pgbouncer]`, such as
            `ignore_startup_parameters`.
    """

    def __init__(
        self,
        folder: Path,
        server_port: int,
        *,
        mode: PoolMode = "transaction",
        settings: Mapping[str, str] = NO_SETTINGS,
    ) -> None:
        self.folder = folder
        self.log = folder / "pgbouncer.log"
        self.port = free_port()
        self._file = folder / "pgbouncer.ini"
        self._server_port = self._usual_server_port = server_port
        self._usual = {"pool_mode": mode, **settings}
        self._changed: dict[str, str] = {}
        self._user = unprivileged_user()
        program = shutil.which("pgbouncer", path=PATH)
        assert program is not None, MISSING
        self._program = program

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy address of a database, through the pooler."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def by_pooler(self, url: str) -> str:
        """The address, through the pooler, of what has this address on the server."""
        return url.replace(f":{self._server_port}/", f":{self.port}/")

    def start(self) -> None:
        if self.is_running:
            return
        self._write()
        self.process = Process(self._program, self._file, log=self.log, user=self._user)
        wait_until(self._is_up_or_ended, PATIENCE, "PgBouncer answers")
        assert self.is_running, f"PgBouncer ended; its log ends:\n{self.process.tail}"

    def stop(self) -> None:
        """End at once: by SIGTERM this version does not wait for its clients."""
        if self.process is None:
            return
        if self.is_running:
            self.process.thaw()
            self.process.terminate()
        self.kill()

    def set(self, **settings: str) -> None:
        """Change settings while it runs, until `heal`."""
        self._changed |= settings
        self._reload()

    def point_at(self, server_port: int) -> None:
        """Stand before another server, until `heal`; clients keep their connections."""
        self._server_port = server_port
        self._reload()
        # A connection to the server before is closed as soon as its transaction is over.
        self.command("RECONNECT")

    def command(self, text: str) -> list[tuple[Any, ...]]:
        """Run a command of the console, such as `SHOW POOLS` or `KILL db`."""
        address = f"host=127.0.0.1 port={self.port} dbname=pgbouncer user=postgres"
        with psycopg.connect(address, autocommit=True, connect_timeout=PATIENCE) as connection:
            # The console knows no extended protocol.
            cursor = psycopg.ClientCursor(connection).execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def heal(self) -> None:
        super().heal()
        if not self._changed and self._server_port == self._usual_server_port:
            # To reload ends a connection that logs in, and clients get its error for a second.
            return
        self._changed.clear()
        self.point_at(self._usual_server_port)

    def _reload(self) -> None:
        self._write()
        self.command("RELOAD")

    def _write(self) -> None:
        pool = {**SETTINGS, "listen_port": str(self.port), **self._usual, **self._changed}
        lines = ["[databases]", f"* = host=127.0.0.1 port={self._server_port} user=postgres"]
        lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in pool.items())]
        if self._user is not None:
            self.folder.chmod(0o711)
        self._file.write_text("\n".join([*lines, ""]))
        self._file.chmod(0o644)

    def _is_up_or_ended(self) -> bool:
        try:
            self.command("SHOW VERSION")
        except psycopg.OperationalError:
            return not self.is_running
        return True
