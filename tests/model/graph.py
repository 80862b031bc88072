"""All that may happen next, in any process."""

from collections.abc import Iterator

from failsoft.job_engine.records.states import JobState, permits
from tests.model.model import Edge, Model, with_row
from tests.model.offer_actions import carrier_edges, dispatcher_edges
from tests.model.participants import NO_ENGINE, State, make_lead, make_message, make_row
from tests.model.rules import ONCE
from tests.model.workers import worker_edges


def successors(model: Model, state: State) -> Iterator[Edge]:
    """Find every atomic action that is possible in a state."""
    model.bounded = False
    yield from dispatcher_edges(model, state)
    for number in range(len(state.carriers)):
        yield from carrier_edges(model, state, number)
    for number in range(len(state.workers)):
        yield from worker_edges(model, state, number)
    if model.config.cancel:
        yield from _client_edges(model, state)
    if model.config.resolve and state.row.state is JobState.HELD:
        yield from _resolving_edges(model, state)
    if model.config.replaced and not state.claimed:
        yield from _replace(model, state)
    if model.config.routes:
        yield from _route_edges(model, state)


def _replace(model: Model, state: State) -> Iterator[Edge]:
    """Dispatch again what waits and was not begun: decided by a look, and so as good as by it."""
    row = state.row
    if permits(
        model.protocol.table["replace"], row, {"epoch": row.epoch, "revision": row.revision}
    ):
        after = model.change(state, "replace")
        yield Edge("client", 0, "replace", after, model.broken_by_change(row))


def _route_edges(model: Model, state: State) -> Iterator[Edge]:
    """Let the weights lead elsewhere, as a person or a guard does, or engines come and go."""
    lead, row = state.lead, state.row
    other = 1 - lead.engine
    after = state._replace(lead=make_lead(other, lead.away))
    if model.rules.routes_move_nothing:
        yield Edge("client", 0, "lead elsewhere", after)
    elif permits(model.protocol.table["reroute"], row, {}):
        moved = model.change(after, "reroute", other)
        message = make_message(moved.row.epoch, other)
        moved = moved._replace(sent=moved.sent | message.bit)
        yield Edge("client", 0, "reroute", moved, model.broken_by_change(row))
    for away in {NO_ENGINE, 0, 1} - {lead.away}:
        what = "engine back" if away == NO_ENGINE else "engine away"
        yield Edge("client", 0, what, state._replace(lead=make_lead(lead.engine, away)))


def _client_edges(model: Model, state: State) -> Iterator[Edge]:
    """Cancel: at once where nothing runs, else by a request (R20)."""
    row = state.row
    if permits(model.protocol.table["cancel"], row, {}):
        after = model.change(state, "cancel")
        yield Edge("client", 0, "cancel", after, model.broken_by_change(row))
    elif row.state is JobState.RUNNING and not row.cancel_requested:
        rest = row.errors, row.crashes, row.releases, row.memos, row.intent
        requested = make_row(row.state, row.epoch, row.engine, True, *rest)
        yield Edge("client", 0, "cancel_request", with_row(state, requested))


def _resolving_edges(model: Model, state: State) -> Iterator[Edge]:
    """Let the held job go on, its step in doubt done or to begin again, or end it (rule 10)."""
    broken = model.broken_by_change(state.row)
    for name in ("accept", "abandon"):
        yield Edge("client", 0, name, model.change(state, name), broken)
    steps = model.config.steps
    done = sum(1 << place for place, kind in enumerate(steps) if kind == ONCE)
    for memos, begun in ((state.row.memos, False), (state.row.memos | done, state.begun)):
        row = model.change(state, "resume").row
        rest = row.cancel_requested, row.errors, row.crashes, row.releases, memos, 0
        settled = make_row(row.state, row.epoch, row.engine, *rest)
        after = with_row(model.change(state, "resume"), settled)._replace(begun=begun)
        yield Edge("client", 0, "resume", after, broken)
