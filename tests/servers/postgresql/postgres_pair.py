"""A primary and its streaming replica, which change places: a fail-over without a manager."""

from contextlib import suppress
from pathlib import Path

import psycopg

from tests.servers.postgresql.postgres import Postgres
from tests.servers.server import Server


class PostgresPair(Server):
    """Two PostgreSQL servers on ports of their own; which is the primary changes.

    What a `Server` does, `kill` and `freeze` for one, is done to the primary.

    Attributes:
        primary: The one that takes writes.
        replica: The other: a replica that streams, or a primary of before that is gone.
    """

    def __init__(self, folder: Path, *, fast: bool = False) -> None:
        self.folder = folder
        self.primary = Postgres(_within(folder, "first"), fast=fast)
        self.replica = Postgres(_within(folder, "second"), fast=fast)
        self._in_order = (self.primary, self.replica)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy address of a database on whichever takes writes."""
        hosts = "&".join(f"host=127.0.0.1:{each.port}" for each in self._in_order)
        options = f"{hosts}&target_session_attrs=read-write"
        return f"postgresql+psycopg://postgres@/{database}?{options}"

    def start(self) -> None:
        self.primary.start()
        if not self._streams():
            self.replica.follow(self.primary)

    def stop(self) -> None:
        for each in self._in_order:
            each.stop()

    def kill(self) -> None:
        self.primary.kill()

    def freeze(self) -> None:
        self.primary.freeze()

    def thaw(self) -> None:
        self.primary.thaw()

    def synchronous(self, *, on: bool) -> None:
        """Commit only what both have, or what the primary has; both have what was before."""
        self.primary.synchronous_to(*([self.replica] if on else []))
        if on:
            self.primary.wait_for(self.replica)

    def fail_over(self) -> None:
        """Promote the replica; what has become of the primary, and what it has, is forgotten."""
        self.replica.promote()
        self.primary, self.replica = self.replica, self.primary
        # It must not wait for a replica that is no more.
        self.primary.synchronous_to()

    def switch_over(self) -> None:
        """Let them change places, and lose nothing."""
        self.primary.stop()
        self.fail_over()
        self.rejoin()

    def rejoin(self) -> None:
        """Let the primary of before follow the new one, from a copy of it."""
        self.replica.follow(self.primary)

    def heal(self) -> None:
        for each in self._in_order:
            if each.is_running:
                each.thaw()
        self.primary.heal()
        self.primary.synchronous_to()
        self.primary.read_only(on=False)
        self.start()

    def _streams(self) -> bool:
        with suppress(psycopg.OperationalError):
            return self.replica.is_running and self.replica.is_replica
        return False

    @property
    def is_running(self) -> bool:
        return self.primary.is_running

    @property
    def log(self) -> Path:  # type: ignore[override]  # it is the primary's, which changes
        return self.primary.log

    @property
    def port(self) -> int:  # type: ignore[override]  # likewise
        return self.primary.port


def _within(folder: Path, name: str) -> Path:
    inner = folder / name
    inner.mkdir(parents=True, exist_ok=True)
    # The servers run as another user under root, who must get through.
    folder.chmod(0o711)
    return inner
