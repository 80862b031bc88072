"""How a state was reached, step by step, for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.model.graph import successors
from tests.model.model import Edge, Model
from tests.model.participants import State
from tests.model.search import Found, Search

ENGINES = ("rq", "dramatiq")


@dataclass(frozen=True)
class Moment:
    """One action of a trace, with the state before it."""

    before: State
    edge: Edge


def trace_to(search: Search, found: Found) -> list[Moment]:
    """Return a shortest trace to a violation, in which everybody keeps their number."""
    way = path_to(search, found.at)
    before = search.model.settled(way[-1].edge.state) if way else search.model.initial()
    last = _edge(search.model, before, search.model.canonical(found.to), found.invariant)
    return [*way, Moment(before, last)] if last is not None else way


def path_to(search: Search, number: int) -> list[Moment]:
    """Return a shortest trace to a state."""
    numbers = [number]
    while search.parents[numbers[-1]] >= 0:
        numbers.append(search.parents[numbers[-1]])
    way, state = list[Moment](), search.model.initial()
    for each in reversed(numbers[:-1]):
        edge = _edge(search.model, state, search.states[each])
        assert edge is not None, "a search remembers ways that exist"
        way.append(Moment(state, edge))
        state = search.model.settled(edge.state)
    return way


def _edge(model: Model, state: State, target: State, invariant: str = "") -> Edge | None:
    for edge in successors(model, state):
        same = model.canonical(edge.state) == target
        if same and (not invariant or invariant in edge.broken):
            return edge
    return None


def narrate(trace: Sequence[Moment]) -> str:
    """Describe a trace: which process did what, and what the ledger said then."""
    lines = [f"{n:>3}  {_reported(moment)}" for n, moment in enumerate(trace, 1)]
    return "\n".join(lines)


def _reported(moment: Moment) -> str:
    edge, row = moment.edge, moment.edge.state.row
    done = f"{edge.who} {edge.number}{_epoch(moment)}: {edge.what}"
    flags = " cancel requested" if row.cancel_requested else ""
    memos = f" recorded {row.memos:b}" if row.memos else ""
    broken = f"   <-- breaks {', '.join(edge.broken)}" if edge.broken else ""
    ledger = f"{row.state} epoch {row.epoch} on {ENGINES[row.engine]}{memos}{flags}"
    return f"{done:<42} {ledger}{broken}"


def _epoch(moment: Moment) -> str:
    if moment.edge.who != "worker":
        return ""
    shown = moment.edge.state if moment.edge.what == "claim" else moment.before
    worker = shown.workers[moment.edge.number]
    return f" (epoch {worker.epoch}, step {worker.step})" if worker.epoch else ""
