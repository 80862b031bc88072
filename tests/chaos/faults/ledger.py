"""What befalls the ledger's database: restarts, ended sessions, silence; SQLite is locked."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random

from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.faults.pgbouncer import PgBouncerFaults
from tests.chaos.faults.postgres import PostgresFaults
from tests.chaos.system.servers import Servers

LANE = "ledger"


class SqliteFaults:
    """The misfortune of a file: a stranger who locks it."""

    def __init__(self, servers: Servers) -> None:
        self._file = str(servers.database.url.database)

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


def ledger_faults(servers: Servers) -> Sequence[Nemesis]:
    """Every misfortune that this ledger can have."""
    if servers.postgres is None or servers.pgbouncer is None:
        return SqliteFaults(servers).all()
    pair, pooler = servers.postgres, servers.pgbouncer
    return [*PostgresFaults(pair, pooler).all(), *PgBouncerFaults(pooler).all()]
