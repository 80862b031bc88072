"""A console on a ledger in which everything has happened, without a server for it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from failsoft.api import Every, JobContext, SecretText, job
from failsoft.console import Actor, console
from failsoft.console.environment import Ledger
from failsoft.console.settings import ConsoleSettings
from failsoft.dispatcher import Dispatcher
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.ledger import SqlLedger
from failsoft.ledger.opening import shared_database
from failsoft.ledger.upgrade.run import upgrade
from tests.console.scene import Scene, expect_rq_away, scene
from tests.unit.support.memory_app import MemoryApp

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Digest(BaseModel):
    user_id: int = 7
    email: str = ""
    mail_password: SecretText | None = None


@job(queue="default", schedule=Every(timedelta(hours=1)))
def send_digest(payload: Digest, ctx: JobContext) -> int:
    return payload.user_id


@dataclass
class Surroundings:
    """The environment of a console in a test; `is_away` takes its ledger away."""

    opened: SqlLedger
    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    engine_names: tuple[str, ...] = ("rq", "dramatiq")
    is_away: bool = False
    behind: timedelta | None = None
    app: MemoryApp = field(default_factory=MemoryApp)

    def ledger(self) -> Ledger:
        if self.is_away:
            raise LedgerUnavailableError("expected the ledger to answer, got nothing")
        return self.opened

    def reading(self) -> Ledger:
        return self.ledger()

    def catalogue(self) -> Catalogue:
        return Catalogue([send_digest])

    def dispatcher(self) -> Dispatcher:
        return self.app.dispatcher

    def engines(self) -> EngineSet:
        return self.app.engines

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Shown:
    """A console with the scene behind it."""

    surroundings: Surroundings
    scene: Scene

    @property
    def ledger(self) -> SqlLedger:
        return self.surroundings.opened

    def client(self, role: str | None = "admin", prefix: str = "") -> TestClient:
        """Return what sends requests as an actor of a role; None is nobody."""
        actor = None if role is None else Actor.of("ada", role)
        app = console(environment=self.surroundings, authenticate=lambda request: actor)
        return TestClient(app, root_path=prefix, headers=SAME_ORIGIN, follow_redirects=False)


@pytest.fixture
def make_ledger(sqlite_url: str) -> Iterator[Callable[[], SqlLedger]]:
    database = shared_database(sqlite_url)
    with closing(database):
        upgrade(database)
        yield lambda: SqlLedger(database)


@pytest.fixture(scope="module")
def played(tables_on_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scene]:
    """A ledger in which the scene has been played: to copy it takes a hundredth of that."""
    file = tmp_path_factory.mktemp("played") / "ledger.db"
    shutil.copy(tables_on_sqlite, file)
    with closing(shared_database(f"sqlite:///{file}")) as database:
        upgrade(database)
        return file, scene(SqlLedger(database))


@pytest.fixture
def shown(played: tuple[Path, Scene], tmp_path: Path) -> Iterator[Shown]:
    file, found = played
    url = f"sqlite:///{shutil.copy(file, tmp_path / 'ledger.db')}"
    with closing(shared_database(url)) as database:
        ledger = SqlLedger(database)
        # It is away for some seconds, and the scene may be older.
        expect_rq_away(ledger)
        yield Shown(Surroundings(ledger), found)
