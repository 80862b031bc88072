"""Exhaustive search, breadth first, so that the first violation found is a shortest one."""

import gc
from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from tests.model.graph import successors
from tests.model.model import Edge, Model
from tests.model.participants import State


@dataclass
class Found:
    """Where an invariant was broken first.

    Attributes:
        at: The state before, by its number.
        to: The state after, which is the state before where no action broke it (I1).
    """

    invariant: str
    at: int
    to: State


@dataclass
class Search:
    """What a search has seen.

    Attributes:
        states: Every state, in the order it was first reached.
        parents: For each the number of the state it was reached from.
        edges: How many actions were taken.
        bounded: How many states had an offer left out, beyond the configuration's epochs.
        broken: The first violation of each invariant.
        done: What was done at all: the names of transitions and of other actions.
    """

    model: Model
    states: list[State] = field(default_factory=list)
    parents: "array[int]" = field(default_factory=lambda: array("l"))
    edges: int = 0
    bounded: int = 0
    depth: int = 0
    seconds: float = 0.0
    broken: dict[str, Found] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)


def explore(model: Model, until: Collection[str] = ()) -> Search:
    """Explore every reachable state, or until these invariants have been broken."""
    began, search = monotonic(), Search(model)
    with _without_garbage_collection():
        graph = _explore(search, frozenset(until))
        if graph is not None:
            _check_liveness(search, graph)
    search.seconds = monotonic() - began
    return search


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    # Nothing here is garbage, and to find that out again and again takes half of the time.
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass
class _Graph:
    """The edges that count for liveness: `targets` of state n end at `ends[n]`."""

    targets: "array[int]" = field(default_factory=lambda: array("l"))
    ends: "array[int]" = field(default_factory=lambda: array("l"))
    goals: bytearray = field(default_factory=bytearray)


def _explore(search: Search, until: frozenset[str]) -> _Graph | None:
    model, graph = search.model, _Graph()
    first = model.canonical(model.initial())
    numbers, states = {first: 0}, search.states
    states.append(first)
    search.parents.append(-1)
    for at, state in enumerate(states):
        for edge in successors(model, state):
            search.edges += 1
            after = model.canonical(edge.state)
            to = numbers.setdefault(after, len(states))
            if to == len(states):
                states.append(after)
                search.parents.append(at)
            if edge.broken:
                _note(search, edge, at)
            if edge.who != "client":
                graph.targets.append(to)
            search.done.add(edge.what)
        graph.ends.append(len(graph.targets))
        graph.goals.append(model.is_over(state) or model.bounded)
        search.bounded += model.bounded
        if until and until <= search.broken.keys():
            return None
    search.depth = _length(search, len(states) - 1)
    return graph


def _note(search: Search, edge: Edge, at: int) -> None:
    for invariant in edge.broken:
        search.broken.setdefault(invariant, Found(invariant, at, edge.state))


def _check_liveness(search: Search, graph: _Graph) -> None:
    """Check that an end stays within reach of every state, without the client's help (I1)."""
    reach, targets, ends = graph.goals, graph.targets, graph.ends
    waiting = [n for n in range(len(reach)) if not reach[n]]
    while waiting:
        waiting.reverse()
        left = [
            n for n in waiting if not _mark(reach, n, targets[ends[n - 1] if n else 0 : ends[n]])
        ]
        if len(left) == len(waiting):
            stuck = min(left)
            search.broken["I1"] = Found("I1", stuck, search.states[stuck])
            return
        waiting = left


def _mark(reach: bytearray, number: int, targets: "array[int]") -> bool:
    if any(reach[target] for target in targets):
        reach[number] = True
        return True
    return False


def _length(search: Search, number: int) -> int:
    length = 0
    while number > 0:
        number, length = search.parents[number], length + 1
    return length
