"""What befalls a PostgreSQL ledger: it ends, falls silent, is demoted, and has no session left."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

import psycopg

from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.system.servers import DATABASE
from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.postgresql.postgres_pair import PostgresPair

LANE = "ledger"
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


class PostgresFaults:
    """The misfortunes of a primary and its synchronous replica, which take turns."""

    def __init__(self, pair: PostgresPair, pooler: PgBouncer) -> None:
        self._pair = pair
        self._pooler = pooler

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("postgresql: restart", LANE, self._restart, 0.1, 2),
            Nemesis("postgresql: crash", LANE, self._crash, 0.1, 2),
            Nemesis("postgresql: terminate backends", LANE, self._terminate, 0.1, 0.5),
            Nemesis("postgresql: freeze", LANE, self._freeze, 0.5, 2.5),
            Nemesis("postgresql: promote the replica", LANE, self._promote, 0.1, 2),
            Nemesis("postgresql: change places", LANE, self._change_places, 0.1, 0.5),
            Nemesis("postgresql: read-only", LANE, self._read_only, 0.5, 4),
            Nemesis("postgresql: too many clients", LANE, self._too_many_clients, 0.5, 3),
        ]

    @contextmanager
    def _restart(self, rng: Random) -> Iterator[str]:
        self._pair.primary.stop()
        try:
            yield "fast shutdown"
        finally:
            self._pair.primary.start()

    @contextmanager
    def _crash(self, rng: Random) -> Iterator[str]:
        self._pair.primary.stop(immediate=True)
        try:
            yield "immediate shutdown, then recovery"
        finally:
            self._pair.primary.start()

    @contextmanager
    def _terminate(self, rng: Random) -> Iterator[str]:
        yield f"{self._pair.primary.terminate_backends(DATABASE)} sessions"

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str]:
        self._pair.freeze()
        try:
            yield "SIGSTOP of every process"
        finally:
            self._pair.thaw()

    @contextmanager
    def _promote(self, rng: Random) -> Iterator[str]:
        """Lose the primary, and go on without a replica for a while."""
        self._pair.kill()
        self._pair.fail_over()
        self._pooler.point_at(self._pair.port)
        try:
            yield "kill -9 of the primary"
        finally:
            self._pair.rejoin()
            self._pair.synchronous(on=True)

    @contextmanager
    def _change_places(self, rng: Random) -> Iterator[str]:
        """The old primary comes back as a replica; clients that still use it are refused writes."""
        self._pair.switch_over()
        try:
            yield "a primary that was demoted"
        finally:
            self._pooler.point_at(self._pair.port)
            self._pair.synchronous(on=True)

    @contextmanager
    def _read_only(self, rng: Random) -> Iterator[str | None]:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        hit = self._pair.primary.ask(sessions, DATABASE)
        self._pair.primary.read_only(on=True)
        try:
            yield f"{hit[0]} open sessions, too" if hit and hit[0] else None
        finally:
            self._pair.primary.read_only(on=False)

    @contextmanager
    def _too_many_clients(self, rng: Random) -> Iterator[str | None]:
        with ExitStack() as strangers:
            first = strangers.enter_context(_session(self._pair.primary))
            taken = _take_all(self._pair.primary, strangers)
            if rng.random() < 0.5:
                # Each process with a session needs a new one.
                first.execute(END_SESSIONS, [DATABASE])
                taken += _take_all(self._pair.primary, strangers)
            yield f"{taken} sessions of strangers" if taken else None


def _take_all(server: Postgres, strangers: ExitStack) -> int:
    """Open sessions until the server has no more; return how many."""
    taken = 0
    while True:
        try:
            strangers.enter_context(_session(server))
        except psycopg.OperationalError:
            return taken
        taken += 1


def _session(server: Postgres) -> psycopg.Connection[Any]:
    return psycopg.connect(server.dsn(dbname="postgres", connect_timeout="2"), autocommit=True)
