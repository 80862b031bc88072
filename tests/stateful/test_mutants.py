"""The machine finds a ledger that breaks a rule; one that finds nothing would prove nothing."""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from failsoft.ledger import SqlLedger
from tests.stateful.databases import Bench
from tests.stateful.machine import machine_on
from tests.stateful.mutants import (
    MUTANTS,
    BeginsUnasked,
    RecordsUnfenced,
    without_transactions,
)
from tests.stateful.profiles import HUNT

#: The others run with `-m long`.
QUICK = (RecordsUnfenced, BeginsUnasked)


@pytest.mark.parametrize(
    "mutant",
    [each if each in QUICK else pytest.param(each, marks=pytest.mark.long) for each in MUTANTS],
    ids=lambda mutant: mutant.__name__,
)
def test_a_ledger_that_breaks_a_rule_is_found(sqlite_url: str, mutant: type[SqlLedger]) -> None:
    expect_found(Bench(sqlite_url, mutant))


@pytest.mark.long
def test_a_ledger_without_transactions_is_found(sqlite_url: str) -> None:
    expect_found(without_transactions(Bench(sqlite_url)))


def expect_found(bench: Bench) -> None:
    try:
        with pytest.raises(AssertionError, match="expected"):
            run_state_machine_as_test(machine_on(bench), settings=HUNT)
    finally:
        bench.database.close()
