"""Pages are read from a replica while it follows closely, and else from the ledger itself."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from failsoft.console import Actor, console
from failsoft.console.settings import ConsoleSettings
from failsoft.job_engine import JobState
from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.read_route import AGAIN_SECONDS, FRESH_SECONDS, MOST_BEHIND, ReadRoute
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing import FrozenClock
from failsoft.testing.ledger_suite.fixtures import new_job
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.console_environment import ConsoleEnvironment
from tests.console.conftest import SAME_ORIGIN
from tests.servers.postgresql.postgres_pair import PostgresPair
from tests.servers.processes import PATIENCE, wait_until

LEDGER = "read_by_a_replica"
AGAIN = timedelta(seconds=AGAIN_SECONDS)


@pytest.fixture(scope="module")
def upgraded(postgres_pair: PostgresPair) -> Iterator[PostgresPair]:
    postgres_pair.primary.create_database(LEDGER)
    with closing(Database(postgres_pair.primary.url(LEDGER))) as database:
        upgrade(database)
    yield postgres_pair
    postgres_pair.heal()
    postgres_pair.primary.drop_database(LEDGER)


@pytest.fixture
def pair(upgraded: PostgresPair) -> PostgresPair:
    upgraded.heal()
    upgraded.primary.wait_for(upgraded.replica)
    return upgraded


@pytest.fixture
def primary(pair: PostgresPair) -> Iterator[SqlLedger]:
    with closing(Database(pair.primary.url(LEDGER))) as database:
        yield SqlLedger(database)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def route(pair: PostgresPair, primary: SqlLedger, clock: FrozenClock) -> Iterator[ReadRoute]:
    replica = SqlLedger(Database(pair.replica.url(LEDGER), limit=timedelta(seconds=2)))
    made = ReadRoute(lambda: primary, lambda: replica, clock)
    with closing(made):
        yield made


def test_a_replica_that_follows_is_read(
    pair: PostgresPair, primary: SqlLedger, route: ReadRoute
) -> None:
    primary.record_job(new_job(id="seen"), None)
    pair.primary.wait_for(pair.replica)

    found = route.ledger()

    assert found is not primary
    assert found.get("seen").id == "seen"
    assert route.behind is not None
    assert route.behind <= MOST_BEHIND


def test_one_that_is_away_is_not_read_until_it_is_back(
    pair: PostgresPair, primary: SqlLedger, route: ReadRoute, clock: FrozenClock
) -> None:
    primary.record_job(new_job(id="first"), None)
    pair.primary.wait_for(pair.replica)
    assert route.ledger() is not primary

    pair.replica.kill()
    clock.advance(timedelta(seconds=FRESH_SECONDS))
    assert route.ledger() is primary
    assert route.behind is None

    pair.replica.start()
    primary.record_job(new_job(id="second"), None)
    pair.primary.wait_for(pair.replica)
    assert route.ledger() is primary
    clock.advance(AGAIN)
    assert route.ledger() is not primary


def test_one_that_is_far_behind_is_read_only_while_the_ledger_is_away(
    pair: PostgresPair,
    primary: SqlLedger,
    route: ReadRoute,
    *,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    primary.record_job(new_job(id="old"), None)
    pair.primary.wait_for(pair.replica)
    # So that no test waits for ten seconds: any commit is too old.
    monkeypatch.setattr("failsoft.ledger.read_route.MOST_BEHIND", timedelta(0))
    assert route.ledger() is primary

    pair.primary.kill()
    clock.advance(AGAIN)

    found = route.ledger()
    assert found is not primary
    assert found.get("old").id == "old"
    assert route.behind is not None
    assert route.behind > timedelta(0)


def test_a_server_that_takes_writes_is_no_replica(pair: PostgresPair, primary: SqlLedger) -> None:
    same = SqlLedger(Database(pair.primary.url(LEDGER)))
    route = ReadRoute(lambda: primary, lambda: same, FrozenClock())

    with closing(route):
        assert route.ledger() is primary


def test_a_replica_of_another_ledger_is_refused(pair: PostgresPair, tmp_path: Path) -> None:
    replica = SqlLedger(Database(pair.replica.url(LEDGER)))
    with closing(Database(f"sqlite:///{tmp_path / 'ledger.db'}")) as database:
        upgrade(database)
        route = ReadRoute(lambda: SqlLedger(database), lambda: replica, FrozenClock())
        with closing(route), pytest.raises(ConfigurationError, match="got another ledger"):
            route.ledger()


def test_a_console_reads_the_replica_and_acts_on_the_ledger(
    pair: PostgresPair, primary: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary.record_job(new_job(id="job"), None)
    pair.primary.wait_for(pair.replica)
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", pair.primary.url(LEDGER))
    monkeypatch.setenv("FAILSOFT_LEDGER_READ_URL", pair.replica.url(LEDGER))
    environment = ConsoleEnvironment(load_settings(), ConsoleSettings(enabled=True))
    app = console(environment=environment, authenticate=lambda request: Actor.of("ada", "admin"))
    client = TestClient(app, headers=SAME_ORIGIN, follow_redirects=False)
    with closing(environment):
        # A replica that replays what others did may cancel a read.
        is_shown = lambda: "s behind" in client.get("/jobs/job").text  # noqa: E731
        wait_until(is_shown, PATIENCE, "a page is read from the replica")
        of_replica = environment.reading()
        with of_replica.database.engine.connect() as connection:
            connection.execute(text("SELECT pg_wal_replay_pause()"))
            said = client.post("/jobs/job/cancel", data={"reason": "a test"})
            after = client.get("/jobs/job")
            state = of_replica.get("job").state
            connection.execute(text("SELECT pg_wal_replay_resume()"))

        assert said.status_code == 303
        # The replica has not replayed it; the page after an action is the ledger's.
        assert state is JobState.SCHEDULED
        assert "cancelled" in after.text
        is_replayed = lambda: of_replica.get("job").state is JobState.CANCELLED  # noqa: E731
        wait_until(is_replayed, PATIENCE, "the cancel is replayed")
