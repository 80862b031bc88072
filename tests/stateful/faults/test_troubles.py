"""F46: a clock that jumps and a ledger in trouble change nothing that they should not.

It takes no writes; the way to it is cut in the middle of a call; its file is replaced.
"""

from collections.abc import Collection

import psycopg
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.servers.postgresql.postgres import Postgres
from tests.stateful.databases import Bench, Loss
from tests.stateful.faults.terminations import Terminations
from tests.stateful.faults.troubles import troubled_machine_on
from tests.stateful.profiles import profile

SOMETIMES = frozenset(
    {
        "the clock jumped ahead",
        "the clock jumped back",
        "a write was refused: read-only",
        "something was mended",
    }
)
IN_A_FILE = frozenset(f"a write was refused: the file was {loss.value}" for loss in Loss)
ON_A_SERVER = frozenset({"a call was cut: done", "a call was cut: not done"})

pytestmark = [pytest.mark.timeout(7200), pytest.mark.fault("F46")]


def test_sqlite_does_in_trouble_as_the_ledger_in_memory_does(sqlite_url: str) -> None:
    run_on(Bench(sqlite_url), 16, IN_A_FILE)


@pytest.mark.long
def test_postgresql_does_in_trouble_as_the_ledger_in_memory_does(
    postgres_url: str, postgres: Postgres
) -> None:
    bench = Bench(postgres_url)
    with psycopg.connect(postgres.dsn(dbname="postgres"), autocommit=True) as admin:
        run_on(bench, 12, ON_A_SERVER, Terminations(bench.database, admin))


def run_on(
    bench: Bench, quickly: int, besides: Collection[str], terminations: Terminations | None = None
) -> None:
    machine = troubled_machine_on(bench, terminations)
    try:
        run_state_machine_as_test(machine, settings=profile(quickly))
    finally:
        bench.database.close()

    missing = {*SOMETIMES, *besides} - bench.figures.keys()
    assert not missing, f"expected to meet {sorted(missing)}, got {dict(bench.figures)}"
