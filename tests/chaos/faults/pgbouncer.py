"""What befalls the pooler before a PostgreSQL ledger: it ends, is killed, falls silent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.servers import DATABASE
from tests.servers.postgresql.pgbouncer import PgBouncer

#: That of the servers behind it: where the pooler leads to is changed only while it runs.
LANE = "ledger"


class PgBouncerFaults:
    """The misfortunes of a PgBouncer in transaction mode."""

    def __init__(self, pooler: PgBouncer) -> None:
        self._pooler = pooler

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("pgbouncer: restart", LANE, self._until_started(self._pooler.stop), 0, 1),
            Nemesis("pgbouncer: kill", LANE, self._until_started(self._pooler.kill), 0, 2),
            Nemesis("pgbouncer: freeze", LANE, self._freeze, 0.5, 2.5),
        ]

    def _until_started(self, do: Callable[[], None]) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str | None]:
            hit = self._clients()
            do()
            try:
                yield hit
            finally:
                self._pooler.start()

        return strike

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str | None]:
        hit = self._clients()
        self._pooler.freeze()
        try:
            yield hit
        finally:
            self._pooler.thaw()

    def _clients(self) -> str | None:
        """Return how many clients it has; None if no client reaches the ledger by it now."""
        clients = sum(DATABASE in row for row in self._pooler.command("SHOW CLIENTS"))
        return f"{clients} clients" if clients else None
