"""All that may happen next, whoever does it."""

from collections.abc import Iterator

from tests.model.carriers import carrier_edges, dispatcher_edges
from tests.model.cast import State, make_row
from tests.model.model import Edge, Model, with_row
from tests.model.workers import worker_edges
from understudy.job_engine.states import JobState, permits


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


def _client_edges(model: Model, state: State) -> Iterator[Edge]:
    """Cancel: at once where nothing runs, else by a request (R20)."""
    row = state.row
    if permits(model.protocol.table["cancel"], row, {}):
        after = model.change(state, "cancel")
        yield Edge("client", 0, "cancel", after, model.broken_by_change(row))
    elif row.state is JobState.RUNNING and not row.cancel_requested:
        rest = row.errors, row.crashes, row.releases, row.memos, row.intent
        asked = make_row(row.state, row.epoch, row.engine, True, *rest)
        yield Edge("client", 0, "cancel_request", with_row(state, asked))
