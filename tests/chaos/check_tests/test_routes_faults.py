"""What people change of routes and engines in a run is undone again."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from failsoft.job_engine.records.routing.rule import RouteRule
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite.fixtures import offered
from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.faults.routes import RoutesFaults

#: More than a route of two names: each route has two of them.
ENGINES = ("rq", "kafka", "ledger")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'ledger.db'}")) as database:
        upgrade(database)
        yield database


def nemeses(database: Database) -> list[Nemesis]:
    topology: Any = SimpleNamespace(servers=SimpleNamespace(database=database), engines=ENGINES)
    return list(RoutesFaults(topology).all())


def changes(ledger: SqlLedger) -> list[object]:
    paused = (each for each in ledger.pauses() if each.kind == "engine")
    return [*ledger.routes(), *ledger.disabled_engines(), *paused]


def test_each_strike_changes_something_and_undoes_it(database: Database) -> None:
    ledger = SqlLedger(database)
    job = offered(ledger, ENGINES[0])

    for nemesis in nemeses(database):
        for seed in range(5):
            with nemesis.strike(Random(seed)) as what:
                assert what
                (found,) = changes(ledger)
                if isinstance(found, RouteRule):
                    assert set(found.weights) < set(ENGINES)
            assert changes(ledger) == []

    assert ledger.get(job.id).epoch == job.epoch
