"""Every mutant of an engine is caught, by the name of the promise that it breaks."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from failsoft.testing import EngineSuite, WorkerSuite
from failsoft.testing.engine_kit.promises import (
    SUITES,
    Promise,
    PromiseResult,
    promises_of,
    run_promise,
)
from failsoft.testing.engine_suite.patience import within
from failsoft_engine_file.bench import FileBench
from tests.contract.suite.mutant_engines import Mutant, MutantBench, mutants

#: What never happens costs so long; all that happens here takes milliseconds.
BRIEF = timedelta(seconds=2)
LONG = timedelta(seconds=20)


def cases() -> Iterator[object]:
    for name, mutant in mutants().items():
        yield pytest.param(mutant, id=name)


def broken(mutant: type[Mutant], promise: Promise) -> PromiseResult:
    return run_promise(promise, partial(MutantBench, plugin=mutant()))


@pytest.mark.long
@pytest.mark.parametrize("mutant", list(cases()))
def test_a_mutant_breaks_its_promise(mutant: type[Mutant]) -> None:
    patience = LONG if mutant.is_slow else BRIEF
    with within(patience):
        found = broken(mutant, Promise(mutant.suite, mutant.promise))

    assert not found.kept, f"{mutant.__name__} keeps {found.promise}"


def test_every_mutant_names_a_promise_of_its_suite() -> None:
    for mutant in mutants().values():
        assert Promise(mutant.suite, mutant.promise) in list(promises_of(mutant.suite))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", list(cases()))
def test_the_suite_on_a_mutant_names_the_promise_it_breaks(mutant: type[Mutant]) -> None:
    """Beside others that depend on it; all are printed."""
    with within(LONG):
        results = [
            broken(mutant, each)
            for each in promises_of(mutant.suite)
            if "ten_thousand" not in each.name or mutant.is_slow
        ]

    names = [each.name for each in results if not each.kept]
    print(f"{mutant.__name__} breaks {len(names)} of {len(results)}: {', '.join(names)}")  # noqa: T201
    assert mutant.promise in names


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("patience", [BRIEF, LONG], ids=["brief", "long"])
def test_without_a_mutation_every_promise_is_kept(patience: timedelta) -> None:
    """So what the tests above find is the mutation and no lack of patience."""
    with within(patience):
        results = [run_promise(each, FileBench) for each in promises_of(*SUITES)]

    assert [each for each in results if not each.kept] == []
    assert {each.suite for each in results} == {EngineSuite.__name__, WorkerSuite.__name__}
