"""What the dispatcher, a rescuer or a stager may do next: look, offer, send, hand over, park."""

from collections.abc import Callable, Iterator

from failsoft.job_engine.records.states import JobState
from tests.model.model import Edge, Model
from tests.model.participants import (
    CARRYING,
    IDLE,
    MARKING,
    SEEN,
    Carrier,
    State,
    make_carrier,
    make_message,
)

_IDLE = make_carrier(IDLE)

#: Puts a carrier into a state: who it is differs.
Put = Callable[[State, Carrier], State]


def dispatcher_edges(model: Model, state: State) -> Iterator[Edge]:
    """Find what the dispatcher may do next; once it is idle it is gone."""
    if state.dispatcher.pc != IDLE:
        yield from _edges(model, state, _Self("dispatcher", 0, state.dispatcher))


def carrier_edges(model: Model, state: State, number: int) -> Iterator[Edge]:
    """Find what a process that rescues and schedules may do next."""
    carrier = state.carriers[number]
    if carrier.pc == IDLE:
        yield from _look(model, state, number)
    else:
        yield from _edges(model, state, _Self("carrier", number, carrier))


class _Self:
    """The process whose actions are looked for."""

    def __init__(self, who: str, number: int, now: Carrier) -> None:
        self.who = who
        self.number = number
        self.now = now

    def edge(self, what: str, state: State, then: Carrier, broken: tuple[str, ...] = ()) -> Edge:
        if self.who == "dispatcher":
            return Edge(self.who, 0, what, state._replace(dispatcher=then), broken)
        after = _put(state, self.number, then)
        return Edge(self.who, self.number, what, after, broken)


def _put(state: State, number: int, carrier: Carrier) -> State:
    row, sent, claimed, begun, dispatcher, carriers, workers, lead = state
    changed = (*carriers[:number], carrier, *carriers[number + 1 :])
    return State(row, sent, claimed, begun, dispatcher, changed, workers, lead)


def _look(model: Model, state: State, number: int) -> Iterator[Edge]:
    """See a job that is due, unclaimed or silent: any deadline may have passed at any time."""
    rules, is_right = model.rules, not model.config.clock_ahead
    looks = {
        JobState.SCHEDULED: is_right or rules.mend_deadlines,
        JobState.OFFERED: rules.rescue_offered and (is_right or rules.mend_deadlines),
        JobState.RUNNING: rules.rescue_running and (is_right or rules.watch_by_steady_clock),
    }
    if not looks.get(state.row.state, False):
        return
    seen = make_carrier(SEEN, state.row.state, fresh=True)
    if model.looks_are_atomic:
        yield from _act(model, state, _Self("carrier", number, seen))
    else:
        yield Edge("carrier", number, "look", _put(state, number, seen))


def _edges(model: Model, state: State, me: _Self) -> Iterator[Edge]:
    # Also how it crashes, and how it is content with what it did.
    yield me.edge("go", state, _IDLE)
    if me.now.pc == SEEN:
        yield from _act(model, state, me)
    elif me.now.pc == MARKING:
        yield me.edge("mark", model.change(state, "mark"), _IDLE, model.broken_by_change(state.row))
    else:
        yield from _carry(model, state, me)


def _act(model: Model, state: State, me: _Self) -> Iterator[Edge]:
    if model.config.expires and not state.claimed:
        yield from _change(model, state, me, "expire")
    if me.now.saw is JobState.SCHEDULED:
        yield from _offer(model, state, me, "offer")
    elif me.now.saw is JobState.OFFERED:
        yield from _offer(model, state, me, "reoffer")
    elif state.row.crashes + 1 < model.config.max_crashes:
        yield from _offer(model, state, me, "recover")
    else:
        yield from _change(model, state, me, "exhaust")


def _carry(model: Model, state: State, me: _Self) -> Iterator[Edge]:
    message = me.now.message
    assert message is not None
    if not state.sent & message.bit:
        late = me.who == "dispatcher" and not model.rules.state_before_send
        then = make_carrier(MARKING) if late else me.now
        yield me.edge("send", state._replace(sent=state.sent | message.bit), then)
    yield from _offer(model, state, me, "reoffer")
    yield from _change(model, state, me, "park")


def _offer(model: Model, state: State, me: _Self, name: str) -> Iterator[Edge]:
    row, transition = state.row, model.protocol.table[name]
    if not model.permits_seen(name, row, me.now):
        return
    if transition.new_epoch and row.epoch >= model.config.epochs:
        model.bounded = True
        return
    for engine in model.engines(state):
        after = model.change(state, name, engine)
        message = make_message(after.row.epoch, engine)
        then = make_carrier(CARRYING, message=message, fresh=True)
        yield me.edge(name, after, then, model.broken_by_change(row))


def _change(model: Model, state: State, me: _Self, name: str) -> Iterator[Edge]:
    if model.permits_seen(name, state.row, me.now):
        yield me.edge(name, model.change(state, name), _IDLE, model.broken_by_change(state.row))
