"""Bringing a ledger up to date, while others work on it.

Apart from `schema`, because a program that only dispatches need not load Alembic.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, insert, inspect, update

from failsoft.ledger.database.database import Database
from failsoft.ledger.database.errors import translated
from failsoft.ledger.database.postgresql.engine import POOLER
from failsoft.ledger.ledger_id import ensure_id
from failsoft.ledger.roles.keys import ensure_key
from failsoft.ledger.schema import revision as schema
from failsoft.ledger.schema.columns import PREFIX
from failsoft.ledger.schema.tables import info
from failsoft.ledger.transitions import counts
from failsoft.ledger.upgrade import postgresql, sqlite
from failsoft.ledger.upgrade.at_first import FirstSteps
from failsoft.ledger.upgrade.operations import carrying_out
from failsoft.ledger.upgrade.scripts import Migration, load
from failsoft.ledger.upgrade.sqlite import OvertakenError
from failsoft.ledger.upgrade.steps import PATIENCE, Progress, Report, Steps


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade found and did.

    Attributes:
        place: The ledger: the file with its whole path, or the database and its host.
        before: The revision it stood at; None if it had no tables.
        revision: The revision it stands at.
        minimum: The oldest revision whose code can work on it.
        tables: How many tables were made, where there were none.
        adopted_from: The host that a SQLite ledger belonged to before, if that was changed.
    """

    place: str
    before: str | None
    revision: str
    minimum: str
    tables: int
    adopted_from: str | None


def quiet(_: Progress) -> None:
    """Report nothing."""


def upgrade(
    database: Database,
    *,
    adopt_host: bool = False,
    new_id: bool = False,
    finish: bool = False,
    report: Report = quiet,
    patience: timedelta = PATIENCE,
    migrations: Sequence[Migration] | None = None,
) -> Upgrade:
    """Bring the schema to this code's revision and make a signing key; make a missing file.

    It may be killed at any point and goes on where it was when it is called again. A ledger that
    is newer than this code stays as it is, if this code can work on it.

    Args:
        database: The ledger's database.
        new_id: Give the ledger another id: it is a copy, and not to be taken for the other one.
        adopt_host: Make this host the one a SQLite ledger belongs to, after the file was moved.
        finish: No code of a release before works on it any more, nor will: it is refused from now
            on, and what it could not read may be written.
        report: Called with what is being done.
        patience: How long it waits for each lock, and for another upgrade to end.
        migrations: Those to carry out; by default this code's.

    Raises:
        ConfigurationError: If a SQLite ledger's file cannot be made.
        LedgerUnavailableError: If the database does not answer, or a lock was not to be had.
        LedgerSchemaError: If the ledger needs newer code.
    """
    given = load() if migrations is None else migrations
    database.make_file()
    with translated(), _site(database, report, patience) as site:
        run = _Run(site, database.place, given)
        return run.run(adopt_host=adopt_host, new_id=new_id, finish=finish)


@dataclass(frozen=True, slots=True)
class _Site:
    """Where an upgrade is done.

    Attributes:
        connection: Commits each statement that is in no transaction.
        transaction: Begins one.
        steps: Carries the steps of a migration out.
        report: Called with what is being done.
    """

    connection: Connection
    transaction: Callable[[], AbstractContextManager[None]]
    steps: Callable[[Migration], Steps]
    report: Report


@contextmanager
def _site(database: Database, report: Report, patience: timedelta) -> Iterator[_Site]:
    if database.is_sqlite:
        with sqlite.connect(database.engine) as connection:
            yield _Site(
                connection,
                lambda: sqlite.transaction(connection, report, patience),
                lambda migration: sqlite.SqliteSteps(connection, migration, report, patience),
                report,
            )
        return
    # An engine of its own, without the limits of the workers and of their calls.
    engine = postgresql.engine(database.url)
    pooler = database.url.query.get(POOLER)
    try:
        with (
            closing(postgresql.connect(engine, pooler)) as connection,
            postgresql.alone(connection, report, patience),
        ):
            yield _Site(
                connection,
                lambda: postgresql.transaction(connection),
                lambda migration: postgresql.PostgresqlSteps(
                    connection, migration, report, patience
                ),
                report,
            )
    finally:
        engine.dispose()


class _Run:
    def __init__(self, site: _Site, place: str, migrations: Sequence[Migration]) -> None:
        self._site = site
        self._connection = site.connection
        self._place = place
        self._migrations = migrations
        self._known = [each.revision for each in migrations]

    def run(self, *, adopt_host: bool, new_id: bool, finish: bool) -> Upgrade:
        before = schema.standing(self._connection)
        if before.is_too_new(self._known):
            raise schema.too_new(before, self._place)
        tables = self._make() if before.revision is None else 0
        while migration := self._next(schema.revision(self._connection)):
            self._migrate(migration)
        with self._site.transaction():
            newest = self._migrations[-1]
            self._note_minimum(newest.finished if finish else newest.minimum)
            ensure_key(self._connection)
            ensure_id(self._connection, new=new_id)
            adopted_from = self._note_host(adopt=adopt_host)
        now = schema.standing(self._connection)
        return Upgrade(
            self._place,
            before.revision,
            str(now.revision),
            str(now.minimum),
            tables,
            adopted_from,
        )

    def _next(self, found: str | None) -> Migration | None:
        return next((each for each in self._migrations if each.before == found), None)

    def _make(self) -> int:
        """Make the ledger in one transaction; return how many tables it has."""
        with self._site.transaction():
            if schema.revision(self._connection) is not None:
                return 0
            schema.version.create(self._connection)
            steps = FirstSteps(self._connection)
            for migration in self._migrations:
                self._carry_out(migration, steps)
            newest = self._migrations[-1]
            self._connection.execute(insert(schema.version).values(version_num=newest.revision))
            self._note_minimum(newest.finished)
            names = inspect(self._connection).get_table_names()
            return sum(name.startswith(PREFIX) for name in names)

    def _migrate(self, migration: Migration) -> None:
        with self._site.transaction():
            # Before what older code cannot live with is done, and not after.
            self._note_minimum(migration.minimum)
        try:
            self._carry_out(migration, self._site.steps(migration))
        except OvertakenError:
            return
        here = schema.version.c.version_num == migration.before
        stamp = update(schema.version).where(here).values(version_num=migration.revision)
        self._site.report(Progress(migration.revision, "revision", "begun"))
        with self._site.transaction():
            self._connection.execute(stamp)
        self._site.report(Progress(migration.revision, "revision", "done"))

    def _carry_out(self, migration: Migration, steps: Steps) -> None:
        with carrying_out(steps):
            migration.upgrade()

    def _note_minimum(self, minimum: str) -> None:
        """Note a minimum, unless the one that stands there is higher."""
        found = schema.fact(self._connection, schema.MINIMUM)
        if found is None:
            self._connection.execute(insert(info).values(key=schema.MINIMUM, value=minimum))
        elif self._is_older(found, minimum):
            here = info.c.key == schema.MINIMUM
            self._connection.execute(update(info).where(here).values(value=minimum))
        else:
            return
        if minimum >= counts.REVISION:
            counts.begin(self._connection)

    def _is_older(self, one: str, other: str) -> bool:
        # A ledger of newer code has one that this code does not know, and keeps it.
        return one in self._known and self._known.index(one) < self._known.index(other)

    def _note_host(self, *, adopt: bool) -> str | None:
        here, there = socket.gethostname(), schema.host(self._connection)
        if there is None:
            self._connection.execute(insert(info).values(key=schema.HOST, value=here))
        elif adopt and there != here:
            self._connection.execute(
                update(info).where(info.c.key == schema.HOST).values(value=here)
            )
            return there
        return None
