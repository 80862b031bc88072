"""What a worker may do next: claim, begin, record, conclude, stop, die, come back."""

from collections.abc import Callable, Iterator

from failsoft.job_engine.records.states import JobState
from tests.model.model import Edge, Model, with_row, with_worker
from tests.model.participants import (
    ASKING,
    BODY,
    FORGED,
    HOLDING,
    IDLE,
    READING,
    READY,
    RIGHTFUL,
    STOPPING,
    VOUCHED,
    Message,
    State,
    Worker,
    all_fenced,
    make_message,
    make_row,
    make_worker,
)
from tests.model.rules import ONCE, PLAIN, SLEEP

_IDLE = make_worker(IDLE)


def worker_edges(model: Model, state: State, number: int) -> Iterator[Edge]:
    """Find everything that one worker may do next."""
    worker = state.workers[number]
    yield from _ACTIONS[worker.pc](model, state, number)
    if worker.pc != IDLE:
        yield Edge("worker", number, "vanish", with_worker(state, number, _IDLE))
    if model.has_authority(state.row, worker):
        yield Edge("worker", number, "renew", model.touch(state))


def _deliver(model: Model, state: State, number: int) -> Iterator[Edge]:
    for message in model.sent_messages(state.sent):
        if not model.permits_claim(state.row, message):
            continue
        if model.config.limited:
            yield from _find_no_room(model, state, number, message)
        if model.rules.claim_in_one_statement:
            yield from _claim(model, state, number, message)
        else:
            reading = make_worker(READING, 0, message.epoch, message.engine)
            yield Edge("worker", number, "read", with_worker(state, number, reading))


def _find_no_room(model: Model, state: State, number: int, message: Message) -> Iterator[Edge]:
    """Defer the job, for others of its key run; which of them do is not explored."""
    if model.permits_defer(state.row, message):
        yield Edge("worker", number, "defer", model.change(state, "defer"))


def _write_what_was_read(model: Model, state: State, number: int) -> Iterator[Edge]:
    worker = state.workers[number]
    yield from _claim(model, state, number, make_message(worker.epoch, worker.engine))


def _claim(model: Model, state: State, number: int, message: Message) -> Iterator[Edge]:
    row, bit = state.row, 1 << state.row.epoch
    again = bool(state.claimed & bit)
    rightful = row.state is JobState.OFFERED and not again
    broken = (
        *(("I2",) if again else ()),
        *(("I8",) if message.engine != row.engine else ()),
        *model.broken_by_change(row),
    )
    after = model.change(state, "claim")
    after = after._replace(claimed=state.claimed | bit, workers=all_fenced(after.workers))
    known = 0 if model.rules.ask_at_begin else row.memos
    authority = RIGHTFUL if rightful else FORGED
    for pc in (READY, ASKING) if model.config.lost_replies else (READY,):
        claimed = make_worker(pc, 0, after.row.epoch, message.engine, authority, known)
        yield Edge("worker", number, "claim", with_worker(after, number, claimed), broken)


def _ask_again(model: Model, state: State, number: int) -> Iterator[Edge]:
    worker = state.workers[number]
    message = make_message(worker.epoch, worker.engine)
    if model.permits_claim(state.row, message):
        yield from _claim(model, state, number, message)
    elif model.has_authority(state.row, worker):
        yield Edge("worker", number, "learn", with_worker(state, number, _at(worker, READY)))


def _go_on(model: Model, state: State, number: int) -> Iterator[Edge]:
    worker, config = state.workers[number], model.config
    if worker.step == len(config.steps):
        yield from _conclude(model, state, number, "succeed")
    else:
        yield _begin(model, state, number)
        if config.steps[worker.step] == ONCE and config.lost_replies:
            yield from _begin_unheard(model, state, number)
    if state.row.releases < config.releases:
        yield from _conclude(model, state, number, "release")
    yield from _die(model, state, number)


def _begin(model: Model, state: State, number: int) -> Edge:
    worker, row, rules = state.workers[number], state.row, model.rules
    if rules.ask_at_begin and not model.has_authority(row, worker):
        return Edge("worker", number, "be fenced", with_worker(state, number, _IDLE))
    if rules.ask_at_begin and rules.heed_cancel_at_begin and row.cancel_requested:
        stopping = with_worker(state, number, _at(worker, STOPPING))
        return Edge("worker", number, "heed the cancel", stopping)
    memos = row.memos if rules.ask_at_begin else worker.memos
    if memos & 1 << worker.step:
        skipped = with_worker(state, number, _at(worker, READY, worker.step + 1))
        return Edge("worker", number, "skip", skipped)
    if model.config.steps[worker.step] == ONCE and rules.intent_before_once:
        return _begin_once(model, state, number)
    return _enter(model, state, number)


def _begin_once(model: Model, state: State, number: int) -> Edge:
    worker, row = state.workers[number], state.row
    if model.rules.ask_at_begin and row.intent not in (0, worker.epoch):
        holding = with_worker(state, number, _at(worker, HOLDING))
        return Edge("worker", number, "find an intent", holding)
    return _enter(model, _with_intent(model, state, worker), number)


def _begin_unheard(model: Model, state: State, number: int) -> Iterator[Edge]:
    """Commit the intent and lose the reply: the worker sends it again."""
    worker, row = state.workers[number], state.row
    fits = model.has_authority(row, worker) and not row.cancel_requested
    if fits and row.intent == 0 and not row.memos & 1 << worker.step:
        yield Edge("worker", number, "intend", _with_intent(model, state, worker))


def _with_intent(model: Model, state: State, worker: Worker) -> State:
    row = state.row
    counters = row.cancel_requested, row.errors, row.crashes, row.releases, row.memos
    intent = row.intent or worker.epoch
    after = make_row(row.state, row.epoch, row.engine, *counters, intent)
    return model.touch(with_row(state, after))


def _begin_unasked(model: Model, state: State, number: int) -> Iterator[Edge]:
    yield _enter(model, state, number)


def _enter(model: Model, state: State, number: int) -> Edge:
    worker = state.workers[number]
    kind, row = model.config.steps[worker.step], state.row
    broken = (
        *(("I5",) if row.memos & 1 << worker.step else ()),
        *(("I6",) if kind == ONCE and state.begun else ()),
        *(("I9",) if row.cancel_requested else ()),
    )
    entered = with_worker(state, number, _at(worker, BODY))
    if kind == ONCE:
        entered = entered._replace(begun=True)
    return Edge("worker", number, "begin", entered, broken)


def _come_back(model: Model, state: State, number: int) -> Iterator[Edge]:
    kind = model.config.steps[state.workers[number].step]
    if kind == SLEEP:
        yield from _conclude(model, state, number, "suspend")
    else:
        yield from _record(model, state, number)
        yield from _conclude(model, state, number, "fail")
        if kind == PLAIN and state.row.errors < model.config.retries:
            yield from _conclude(model, state, number, "retry")
    yield from _die(model, state, number)


def _record(model: Model, state: State, number: int) -> Iterator[Edge]:
    worker = state.workers[number]
    if model.rules.fence_records and not model.has_authority(state.row, worker):
        yield Edge("worker", number, "be fenced", with_worker(state, number, _IDLE))
        return
    broken = () if worker.authority == RIGHTFUL else ("I3",)
    after = model.touch(_with_memo(state, worker.step))
    ready = _at(worker, _after_record(model, worker.step + 1), worker.step + 1)
    yield Edge("worker", number, "record", with_worker(after, number, ready), broken)
    if model.config.lost_replies:
        yield Edge("worker", number, "record", after, broken)


def _after_record(model: Model, step: int) -> str:
    steps = model.config.steps
    vouched = not model.rules.ask_at_every_begin and step < len(steps) and steps[step] == PLAIN
    return VOUCHED if vouched else READY


def _with_memo(state: State, step: int) -> State:
    row = state.row
    counters = row.cancel_requested, row.errors, row.crashes, row.releases
    memos = row.memos | 1 << step
    return with_row(state, make_row(row.state, row.epoch, row.engine, *counters, memos, row.intent))


def _die(model: Model, state: State, number: int) -> Iterator[Edge]:
    """Lose the process of the attempt; the worker sees it and says so."""
    if model.config.deaths:
        last = state.row.crashes + 1 >= model.config.max_crashes
        yield from _conclude(model, state, number, "crash_out" if last else "crash")


def _stop(model: Model, state: State, number: int) -> Iterator[Edge]:
    yield from _conclude(model, state, number, "stop")


def _hold(model: Model, state: State, number: int) -> Iterator[Edge]:
    yield from _conclude(model, state, number, "hold")


def _conclude(model: Model, state: State, number: int, name: str) -> Iterator[Edge]:
    """End the attempt; a cancel request turns every end but success into `stop` (I9)."""
    worker, row = state.workers[number], state.row
    if row.cancel_requested and name != "succeed":
        name = "stop"
    if not model.permits_end(name, row, worker):
        yield Edge("worker", number, "be fenced", with_worker(state, number, _IDLE))
        return
    stale = () if worker.authority == RIGHTFUL else ("I3",)
    broken = (*stale, *model.broken_by_change(row))
    before = _with_memo(state, worker.step) if name == "suspend" else state
    after = model.change(before, name)
    yield Edge("worker", number, name, with_worker(after, number, _IDLE), broken)
    if model.config.lost_replies:
        yield Edge("worker", number, name, after, broken)


def _at(worker: Worker, pc: str, step: int | None = None) -> Worker:
    w, place = worker, worker.step if step is None else step
    return make_worker(pc, place, w.epoch, w.engine, w.authority, w.memos)


_ACTIONS: dict[str, Callable[[Model, State, int], Iterator[Edge]]] = {
    IDLE: _deliver,
    READING: _write_what_was_read,
    ASKING: _ask_again,
    READY: _go_on,
    VOUCHED: _begin_unasked,
    BODY: _come_back,
    STOPPING: _stop,
    HOLDING: _hold,
}
