"""The hand-off protocol, explored exhaustively with the product's own table of transitions.

The adversary of docs/explain/protocol.md: any message ever sent may arrive any number of times at
any later time or never, any lease may expire at any instant, any process may vanish between any two
atomic actions, replies of the ledger may be lost, and a cancel may come at any time.
"""

import json
from functools import cache
from pathlib import Path

import pytest

from failsoft.job_engine.invariants import violations
from failsoft.job_engine.records.states import TRANSITIONS
from tests.model.configurations import BESIDES, EVERY_LOOK, EVERYTHING_SMALL, QUICK
from tests.model.histories import history_of
from tests.model.model import Model
from tests.model.mutations import MUTATIONS, Mutation
from tests.model.rules import Config
from tests.model.search import Search, explore
from tests.model.summary import VARIABLE, keep
from tests.model.traces import narrate, path_to, trace_to

#: What is broken in the ledger and so is seen there; that a step began is not (I5, I6, I9).
SEEN_IN_THE_LEDGER = frozenset({"I2", "I4", "I8"})
WAYS = 400


@pytest.mark.parametrize(
    "config",
    [*QUICK, *(pytest.param(each, marks=pytest.mark.long) for each in BESIDES)],
    ids=lambda config: config.name,
)
def test_no_state_that_can_be_reached_breaks_a_promise(config: Config) -> None:
    search = explore(Model(config))

    keep(search)
    assert not search.broken, report(search)
    assert len(search.states) > 1000


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_without_a_rule_the_named_promises_break(mutation: Mutation) -> None:
    until = () if mutation.only else mutation.breaks

    search = explore(Model(mutation.config, mutation.protocol()), until)

    keep(search, mutation)
    found = set(search.broken)
    assert found == mutation.breaks if mutation.only else found >= mutation.breaks


@pytest.mark.parametrize(
    "mutation",
    [mutation for mutation in MUTATIONS if mutation.breaks & SEEN_IN_THE_LEDGER],
    ids=lambda mutation: mutation.name,
)
def test_the_ledger_of_a_broken_protocol_is_found_to_be_broken(mutation: Mutation) -> None:
    visible = mutation.breaks & SEEN_IN_THE_LEDGER

    search = explore(Model(mutation.config, mutation.protocol()), visible)

    for invariant in visible:
        trace = trace_to(search, search.broken[invariant])
        history = history_of(search.model, trace)
        assert invariant in {v.invariant for v in violations(history)}, narrate(trace)


def test_the_ledger_of_every_way_through_the_protocol_is_sound() -> None:
    search = everything()

    for number in range(0, len(search.states), len(search.states) // WAYS):
        trace = path_to(search, number)
        found = list(violations(history_of(search.model, trace)))
        assert not found, f"{found}\n{narrate(trace)}"


def test_every_transition_of_the_table_is_taken() -> None:
    search = everything()
    taken = search.done

    assert not search.broken, report(search)
    assert {transition.name for transition in TRANSITIONS} <= taken


def test_stale_attempts_begin_record_and_conclude_and_are_refused() -> None:
    done = everything().done

    assert {"be fenced", "learn", "skip", "intend", "find an intent", "heed the cancel"} <= done


def test_looks_of_their_own_reach_no_other_ledger() -> None:
    reduced = explore(Model(EVERY_LOOK))

    every_look = explore(Model(EVERY_LOOK, reduced=False))

    keep(every_look)
    assert not every_look.broken, report(every_look)
    assert ledgers(every_look) == ledgers(reduced)
    assert len(every_look.states) > 5 * len(reduced.states)


def test_a_violation_is_reported_step_by_step() -> None:
    mutation = next(each for each in MUTATIONS if each.name == "M5")
    search = explore(Model(mutation.config, mutation.protocol()), mutation.breaks)

    lines = report(search).splitlines()

    assert lines[0] == "I4 breaks:"
    last = " ".join(lines[-1].split())
    assert last == "6 carrier 0: recover offered epoch 2 on dramatiq <-- breaks I4"


def test_the_figures_are_kept_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    search = explore(Model(EVERY_LOOK))

    keep(search)

    kept = json.loads((tmp_path / "every-look-on-its-own.json").read_text())
    assert (kept["states"], kept["violated"]) == (len(search.states), [])


@cache
def everything() -> Search:
    return explore(Model(EVERYTHING_SMALL))


def ledgers(search: Search) -> set[object]:
    """Return what is reached of the ledger, the messages and the workers."""
    return {(s.row, s.sent, s.claimed, s.begun, s.workers) for s in search.states}


def report(search: Search) -> str:
    ways = ((found.invariant, trace_to(search, found)) for found in search.broken.values())
    return "\n".join(f"{invariant} breaks:\n{narrate(trace)}" for invariant, trace in ways)
