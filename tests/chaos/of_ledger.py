"""What befalls the ledger's database: restarts, ended sessions, silence; SQLite is locked."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random

from tests.chaos.nemesis import Nemesis
from tests.chaos.surroundings import Surroundings
from tests.servers.postgres import Postgres

LANE = "ledger"
DATABASE = "chaos"


class OfPostgres:
    """The misfortunes of a PostgreSQL server."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("postgresql: restart", LANE, self._restart, 0.1, 2),
            Nemesis("postgresql: crash", LANE, self._crash, 0.1, 2),
            Nemesis("postgresql: terminate backends", LANE, self._terminate, 0.1, 0.5),
            Nemesis("postgresql: freeze", LANE, self._freeze, 0.5, 2.5),
        ]

    @contextmanager
    def _restart(self, rng: Random) -> Iterator[str]:
        self._postgres.stop()
        try:
            yield "fast shutdown"
        finally:
            self._postgres.start()

    @contextmanager
    def _crash(self, rng: Random) -> Iterator[str]:
        self._postgres.stop(immediate=True)
        try:
            yield "immediate shutdown, then recovery"
        finally:
            self._postgres.start()

    @contextmanager
    def _terminate(self, rng: Random) -> Iterator[str]:
        yield f"{self._postgres.terminate_backends(DATABASE)} sessions"

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str]:
        self._postgres.freeze()
        try:
            yield "SIGSTOP of every process"
        finally:
            self._postgres.thaw()


class OfSqlite:
    """The misfortune of a file: a stranger who locks it."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._file = str(surroundings.database.url.database)

    def all(self) -> Sequence[Nemesis]:
        return [Nemesis("sqlite: locked", LANE, self._locked, 0.2, 2.5)]

    @contextmanager
    def _locked(self, rng: Random) -> Iterator[str | None]:
        with closing(sqlite3.connect(self._file, timeout=5, isolation_level=None)) as stranger:
            try:
                stranger.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                # On a busy machine others may be ahead for as long as it waits.
                yield None
            else:
                yield "BEGIN IMMEDIATE by a stranger"


def of_ledger(surroundings: Surroundings) -> Sequence[Nemesis]:
    """Every misfortune that this ledger can have."""
    if surroundings.postgres is not None:
        return OfPostgres(surroundings.postgres).all()
    return OfSqlite(surroundings).all()
