"""The protocol as a graph: from each state, everything that any process may do next.

The row changes by the product's table of transitions only (`permits` decides, the row of the
table says what changes); what is not a change of state is done here by the rules of
docs/explain/protocol.md.
Every edge is watched: it carries the invariants that it breaks.
"""

from functools import cache
from typing import NamedTuple

from failsoft.job_engine.records.states import Fence, JobState, permits
from tests.model.participants import (
    CARRYING,
    IDLE,
    LOST,
    Carrier,
    Message,
    Row,
    State,
    Worker,
    all_fenced,
    all_stale,
    in_order,
    make_carrier,
    make_lead,
    make_message,
    make_row,
    make_worker,
    stale,
    without_the_idle,
)
from tests.model.rules import Config, Protocol

#: What is done by who has looked at the row, or has made it what it is.
_AFTER_A_LOOK = ("offer", "reoffer", "recover", "exhaust", "park", "expire")


class Edge(NamedTuple):
    """One atomic action.

    Attributes:
        who: `client`, `dispatcher`, `carrier` or `worker`.
        number: Which of them.
        what: The name of a transition, or of what else was done.
        broken: The invariants that it breaks.
    """

    who: str
    number: int
    what: str
    state: State
    broken: tuple[str, ...] = ()


class Model:
    """A configuration under a protocol.

    Attributes:
        bounded: Whether the state whose successors were computed last has an offer that is left
            out because it would exceed the epochs of the configuration.
        looks_are_atomic: Whether to look and to act on it are one action. They may be, and need
            be no other, where whatever changed between them makes the act void: `Fence.SEEN`.
    """

    def __init__(
        self, config: Config, protocol: Protocol | None = None, *, reduced: bool = True
    ) -> None:
        self.config = config
        self.protocol = protocol or Protocol()
        self.rules = self.protocol.rules
        self.bounded = False
        self.looks_are_atomic = reduced and all(
            self.protocol.table[name].fence is Fence.SEEN for name in _AFTER_A_LOOK
        )
        self.permits_claim = cache(self._permits_claim)
        self.permits_defer = cache(self._permits_defer)
        self.permits_end = cache(self._permits_end)
        self.permits_seen = cache(self._permits_seen)
        self.sent_messages = cache(self._sent_messages)
        self._after = cache(self._row_after)

    def initial(self) -> State:
        """The row is committed, and nothing is sent yet (rules 1 and 3)."""
        if self.config.delayed:
            row, dispatcher = make_row(JobState.SCHEDULED, 0, 1, *[0] * 6), make_carrier(IDLE)
        else:
            row = make_row(JobState.OFFERED, 1, 0, *[0] * 6)
            dispatcher = make_carrier(CARRYING, message=make_message(1, 0), fresh=True)
        carriers = (make_carrier(IDLE),) * self.config.carriers
        workers = (make_worker(IDLE),) * self.config.workers
        return State(row, 0, 0, False, dispatcher, carriers, workers, make_lead(0))

    def settled(self, state: State) -> State:
        """Return the state in which a process that can do nothing more is idle."""
        if not self.looks_are_atomic:
            return state
        row, sent, claimed, begun, dispatcher, carriers, workers, lead = state
        (dispatcher,) = without_the_idle((dispatcher,), sent)
        carriers = without_the_idle(carriers, sent)
        return State(row, sent, claimed, begun, dispatcher, carriers, workers, lead)

    def canonical(self, state: State) -> State:
        """Return the one state that stands for all that differ by who is who."""
        row, sent, claimed, begun, dispatcher, carriers, workers, lead = self.settled(state)
        carriers, workers = in_order(carriers), in_order(workers)
        return State(row, sent, claimed, begun, dispatcher, carriers, workers, lead)

    def is_over(self, state: State) -> bool:
        """Return whether the job has ended visibly or waits visibly (I1)."""
        return state.row.state.is_terminal or state.row.state is JobState.HELD

    def change(self, state: State, name: str, engine: int | None = None) -> State:
        """Return the state after a transition of the row; it makes every view of it stale."""
        row, sent, claimed, begun, dispatcher, carriers, workers, lead = state
        after = self._after(name, row, row.engine if engine is None else engine)
        if self.protocol.table[name].ends_attempt:
            workers = all_fenced(workers)
        views = stale(dispatcher), all_stale(carriers)
        return State(after, sent, claimed, begun, *views, workers, lead)

    def touch(self, state: State) -> State:
        """Return the state after anything that moves `revision` on."""
        row, sent, claimed, begun, dispatcher, carriers, workers, lead = state
        views = stale(dispatcher), all_stale(carriers)
        return State(row, sent, claimed, begun, *views, workers, lead)

    def broken_by_change(self, row: Row) -> tuple[str, ...]:
        """Name what a change of the row's state breaks."""
        return ("I4",) if row.state.is_terminal else ()

    def has_authority(self, row: Row, worker: Worker) -> bool:
        """Decide the fence: the first statement of every worker's write (rule 7)."""
        held = worker.authority != LOST
        return held and row.state is JobState.RUNNING and row.epoch == worker.epoch

    def engines(self, state: State) -> tuple[int, ...]:
        """Return where the next offer may go."""
        lead = state.lead
        if not self.config.routes:
            return (0, 1) if self.config.any_engine else (1 - state.row.engine,)
        if lead.engine != lead.away:
            return (lead.engine,)
        return (1 - lead.away,) if self.rules.weights_lead_somewhere else ()

    def _permits_claim(self, row: Row, message: Message) -> bool:
        guard = {"epoch": message.epoch, "engine": message.engine, "queue": row.queue}
        return permits(self.protocol.table["claim"], row, guard)

    def _permits_defer(self, row: Row, message: Message) -> bool:
        guard = {"epoch": message.epoch, "engine": message.engine, "queue": row.queue}
        return permits(self.protocol.table["defer"], row, guard)

    def _permits_end(self, name: str, row: Row, worker: Worker) -> bool:
        claim_id = row.claim_id if worker.authority != LOST else -1
        guard = {"epoch": worker.epoch, "claim_id": claim_id}
        return permits(self.protocol.table[name], row, guard)

    def _permits_seen(self, name: str, row: Row, carrier: Carrier) -> bool:
        transition = self.protocol.table[name]
        guard: dict[str, object] = {
            "epoch": row.epoch,
            "revision": row.revision if carrier.fresh else -1,
        }
        if transition.fence is Fence.SEEN:
            guard["state"] = carrier.saw
        return permits(transition, row, guard)

    def _row_after(self, name: str, row: Row, engine: int) -> Row:
        transition = self.protocol.table[name]
        counters = [
            getattr(row, budget) + (transition.charges == budget)
            for budget in ("errors", "crashes", "releases")
        ]
        epoch = row.epoch + transition.new_epoch
        rest = (row.cancel_requested, *counters, row.memos, row.intent)
        return make_row(transition.target, epoch, engine, *rest)

    def _sent_messages(self, sent: int) -> tuple[Message, ...]:
        epochs, engines = range(self.config.epochs + 1), (0, 1)
        every = (make_message(epoch, engine) for epoch in epochs for engine in engines)
        return tuple(message for message in every if message.bit & sent)


def with_worker(state: State, number: int, worker: Worker) -> State:
    """Return the state with one worker changed."""
    row, sent, claimed, begun, dispatcher, carriers, workers, lead = state
    changed = (*workers[:number], worker, *workers[number + 1 :])
    return State(row, sent, claimed, begun, dispatcher, carriers, changed, lead)


def with_row(state: State, row: Row) -> State:
    """Return the state with another row."""
    return State(row, *state[1:])
