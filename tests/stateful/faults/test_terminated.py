"""A session that ends at any statement leaves a transition done once or not at all.

The ledger repeats it at once; the caller gets the answer and does not notice.
"""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from failsoft.job_engine.records.states import TRANSITIONS
from tests.servers.postgresql.postgres import Postgres
from tests.stateful.actions import LedgerActions
from tests.stateful.databases import Bench
from tests.stateful.faults.terminations import Terminations
from tests.stateful.operations import COMPARE_AND_SET, REPEATABLE

OPERATIONS = {**REPEATABLE, **COMPARE_AND_SET}
DATABASE = "terminated"


@pytest.fixture(scope="module")
def bench(postgres: Postgres) -> Iterator[Bench]:
    bench = Bench(postgres.create_database(DATABASE))
    with closing(bench.database):
        yield bench
    postgres.drop_database(DATABASE)


@pytest.fixture(scope="module")
def terminations(bench: Bench, postgres: Postgres) -> Iterator[Terminations]:
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as admin:
        yield Terminations(bench.database, admin)


@pytest.mark.long
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_ended_session_is_not_noticed(
    bench: Bench, terminations: Terminations, name: str
) -> None:
    moment = 1
    while strikes(bench, terminations, name, moment):
        moment += 1

    assert moment > 1, "expected at least one statement"


def test_every_transition_is_among_them() -> None:
    cancels = {name for name in OPERATIONS if name.startswith("cancel")}
    assert {transition.name for transition in TRANSITIONS} - {"cancel"} <= OPERATIONS.keys()
    assert cancels


def strikes(bench: Bench, terminations: Terminations, name: str, moment: int) -> bool:
    """Try one moment; return whether there was such a one."""
    actions = LedgerActions(bench)
    question = OPERATIONS[name](actions)

    with terminations.at(moment):
        answer = question(actions.pair.sql)

    expected = question(actions.pair.memory)
    if terminations.too_late:
        again = question(actions.pair.memory)
        assert again == expected or name in COMPARE_AND_SET
        expected = again
    assert answer == expected, f"moment {moment}: expected {expected}, got {answer}"
    actions.pair.expect_sound()
    return terminations.struck
