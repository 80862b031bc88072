"""What the features promise, over the histories of a run and what its jobs were seen to do."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from failsoft.job_engine.invariants import History
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.routing.deliveries import OFFERS
from failsoft.job_engine.records.states import CLAIM, JobState
from tests.simulation.jobs.bodies import Order
from tests.simulation.jobs.definitions import TICKS
from tests.simulation.jobs.waits import NEWS, NOTHING, PATIENCE
from tests.simulation.processes.databases import effects_in
from tests.simulation.shared_state import SharedState

Histories = Sequence[History]
MOST = 10**6


def broken_promises(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Find every promise of a feature that is broken."""
    for find in PROMISES:
        # Two moments that a clock has shown can be compared only if it was not set between them.
        if find not in OF_MOMENTS or not shared.clock.was_set:
            yield from find(shared, histories)


def _doubtful_began_once(shared: SharedState, histories: Histories) -> Iterator[str]:
    """A `once` step begins again only because a person said so (I6)."""
    for history in _of("doubtful", histories):
        let_go_on = sum(event.kind == "resume" for event in history.events)
        if shared.jobs.effect_log.begun[history.job.id, "pay"] > 1 + let_go_on:
            yield f"I6: the `once` step of {history.job.id} began again"


def _routes_lead_to_engines(shared: SharedState, histories: Histories) -> Iterator[str]:
    """An offer goes to an engine that there is and, led by a rule, to one of its own (rule 23)."""
    led_to: dict[str, set[str]] = {}
    for rule in shared.rules:
        weighted = {name for name, weight in rule.weights.items() if weight}
        # Where its guard took every other share away, the first one gets all.
        led_to.setdefault(rule.covered(), set()).update(weighted, list(rule.weights)[:1])
    for event in (event for history in histories for event in history.events):
        engine = str(event.detail.get("engine") or "")
        _, is_led, covered = str(event.detail.get("reason") or "").partition("route of ")
        if event.kind not in OFFERS or event.state is not JobState.OFFERED:
            continue
        if engine not in shared.brokers:
            yield f"rule 23: job {event.job_id} was offered to {engine!r}"
        if is_led and engine not in led_to.get(covered, ()):
            yield f"rule 23: the route of {covered} led job {event.job_id} to {engine!r}"


def _effects_are_the_records(shared: SharedState, histories: Histories) -> Iterator[str]:
    """A `tx` step has its row if it is recorded, and one only (I11)."""
    effects = effects_in(shared.kept)
    for history in _of("booking", histories):
        recorded = sum(step.name == "book" and bool(step.epoch) for step in history.steps)
        if effects[history.job.id] != recorded:
            yield f"I11: job {history.job.id}: {effects[history.job.id]} rows, {recorded} records"


def _met_what_was_sent(shared: SharedState, histories: Histories) -> Iterator[str]:
    """A wait comes to what was sent to the job, or to nothing if that came too late."""
    effect_log = shared.jobs.effect_log
    retry_of = {history.job.id: history.job.retry_of for history in histories}
    for (job_id, step), met in effect_log.met.items():
        if step != NEWS:
            continue
        if len(met) > 1 or not met <= {
            NOTHING,
            *(f"for {each}" for each in _line(job_id, retry_of)),
        }:
            yield f"events: job {job_id} met {met}"
        begins = effect_log.ended.get((job_id, "ask"), 0.0)
        in_time = shared.sent.get(job_id, begins + 1e9) < begins + PATIENCE.total_seconds()
        if NOTHING in met and in_time:
            yield f"events: job {job_id} met nothing, and it was sent something"
        shared.faults.notice(f"a wait met {'nothing' if NOTHING in met else 'its event'}")


def _line(job_id: str | None, retry_of: Mapping[str, str | None]) -> Iterator[str]:
    """Return a job and those that it does again, whose finished steps it goes on after."""
    while job_id is not None:
        yield job_id
        job_id = retry_of.get(job_id)


def _told_as_it_ended(shared: SharedState, histories: Histories) -> Iterator[str]:
    """A job that invokes another receives its end, and once."""
    name = shared.jobs.errand.name
    children = {history.job.id: history.job for history in _of(name, histories)}
    for history in _of("sending", histories):
        met = shared.jobs.effect_log.met.get((history.job.id, name), set())
        steps = [step for step in history.steps if step.kind is StepKind.ANSWERED and step.epoch]
        for child in (children[json.loads(step.result)["job"]] for step in steps):
            result = " ".join(json.loads(child.result or "[]"))
            reported = {JobState.FAILED: "JobFailedError", JobState.CANCELLED: "JobCancelledError"}
            if not met <= {reported.get(child.state, result)}:
                yield f"invoke: job {history.job.id} was told {met}, {child.id} is {child.state}"


def _one_hook_each(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Each failure sets off one job, and nothing else does."""
    hooks = Counter(
        json.loads(history.job.payload)["job_id"]
        for history in _of(shared.jobs.hook.name, histories)
        if history.job.retry_of is None
    )
    for history in histories:
        job = history.job
        wanted = job.state is JobState.FAILED and job.name != shared.jobs.hook.name
        if hooks[history.job.id] != wanted:
            yield f"on_failure: {history.job.id} set off {hooks[history.job.id]}, not {wanted:d}"


def _starts_after_what_it_waits_for(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Links and completions start when what they wait for has ended, and know how it did."""
    by_id = {history.job.id: history.job for history in histories}
    for history in histories:
        before = _waited_for(history.job.id, by_id)
        begun = [attempt.started_at for attempt in history.attempts[:1]]
        ends = [by_id[each].finished_at for each in before]
        if begun and (None in ends or any(end > begun[0] for end in ends if end)):
            yield f"flow: {history.job.id} began at {begun[0]}, {before} ended at {ends}"
        if begun and before:
            yield from _knows(history, [by_id[each].state for each in before])


def _waited_for(job_id: str, by_id: Mapping[str, object]) -> Sequence[str]:
    flow, _, place = job_id.rpartition("-")
    if flow.startswith("group-") and place == "completion":
        return [f"{flow}-0", f"{flow}-1"]
    return [f"{flow}-0"] if flow.startswith("chain-") and place == "1" else []


def _knows(history: History, states: Sequence[JobState]) -> Iterator[str]:
    order = Order.model_validate_json(history.job.payload)
    if order.group is not None:
        reported = (order.group.succeeded, order.group.failed, order.group.cancelled)
        ended = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
        if reported != tuple(states.count(state) for state in ended):
            yield f"flow: {history.job.id} was told {reported} of {states}"
    elif order.before is None or states != [JobState.SUCCEEDED]:
        yield f"flow: {history.job.id} got {order.before} from what {states}"


def _one_at_a_time(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Of the jobs with one unique key one is there at a time, done again or not (I10)."""
    for jobs in _by_customer(shared.jobs.one_each.name, histories):
        ordered = sorted((history.job for history in jobs), key=lambda job: job.created_at)
        for before, after in pairwise(ordered):
            if before.finished_at is None or before.finished_at > after.created_at:
                yield f"I10: {after.id} was there beside {before.id}"


def _one_runs_at_once(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Of the jobs that share a limit of one, one has the authority to run at a time (I12)."""
    for jobs in _by_customer(shared.jobs.one_at_once.name, histories):
        attempts = [attempt for history in jobs for attempt in history.attempts]
        ordered = sorted(attempts, key=lambda attempt: attempt.started_at)
        for before, after in pairwise(ordered):
            if before.ended_at is None or before.ended_at > after.started_at:
                yield f"I12: {after} began beside {before}"


def _worked_on_one_payload(shared: SharedState, histories: Histories) -> Iterator[str]:
    """A job that was replaced before it began works on the newest payload, in every attempt."""
    for history in histories:
        given = shared.jobs.effect_log.given.get(history.job.id, set())
        if len(given) > 1 or (history.job.name == "the_newest" and given - {_number(history)}):
            yield f"replace: {history.job.id} worked on {given}, it has {_number(history)}"


def _number(history: History) -> int:
    return Order.model_validate_json(history.job.payload).number


def _no_tick_is_missing(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Each tick made one job, from the first on."""
    name = shared.jobs.ticking.name
    ends = {record.name: record.next_at for record in shared.kept.schedules()[1]}
    keys = (history.job.idempotency_key for history in _of(name, histories))
    ticks = Counter(
        datetime.fromisoformat(key.removeprefix(f"schedule:{name}:")) for key in keys if key
    )
    if ticks:
        wanted = TICKS.ticks(min(ticks), ends[name] - timedelta(microseconds=1), MOST)
        if ticks != Counter(wanted):
            yield f"schedules: fired {sorted(ticks.elements())}, wanted {wanted}"


def _ticks_go_on(shared: SharedState, histories: Histories) -> Iterator[str]:
    """A clock that was set for a while silences no schedule."""
    if shared.late_tick:
        yield f"schedules: {shared.late_tick}"


def _no_tick_is_fired_twice(shared: SharedState, histories: Histories) -> Iterator[str]:
    """Each tick has one job; what somebody retried of it is a job without a key."""
    found = (history.job.idempotency_key for history in _of(shared.jobs.ticking.name, histories))
    keys = Counter(key for key in found if key is not None)
    for key in (key for key, jobs in keys.items() if jobs > 1):
        yield f"schedules: {key} was fired twice"


def _expired_never_ran(shared: SharedState, histories: Histories) -> Iterator[str]:
    """What has expired never began, and nothing begins after that."""
    for history in histories:
        job = history.job
        if job.has_expired and job.id in shared.jobs.effect_log.first:
            yield f"expiry: {job.id} ran and has expired"
        begun = [attempt.started_at for attempt in history.attempts[:1]]
        if job.expires_at is not None and begun and begun[0] > job.expires_at:
            yield f"expiry: {job.id} began at {begun[0]}, after {job.expires_at}"


def _nothing_began_in_a_pause(shared: SharedState, histories: Histories) -> Iterator[str]:
    """While the queue was paused nothing was claimed."""
    for since, until in shared.pauses:
        for history in histories:
            for event in history.events:
                if event.kind == CLAIM.name and since < event.at < until:
                    yield f"pause: {history.job.id} was claimed at {event.at}, in {since}..{until}"


def _of(name: str, histories: Histories) -> Histories:
    return [history for history in histories if history.job.name == name]


def _by_customer(name: str, histories: Histories) -> Iterator[Histories]:
    mine = [(_customer(history), history) for history in _of(name, histories)]
    for customer in {each for each, _ in mine}:
        yield [history for each, history in mine if each == customer]


def _customer(history: History) -> int:
    return Order.model_validate_json(history.job.payload).customer


PROMISES: Sequence[Callable[[SharedState, Histories], Iterator[str]]] = (
    _doubtful_began_once,
    _routes_lead_to_engines,
    _effects_are_the_records,
    _met_what_was_sent,
    _told_as_it_ended,
    _one_hook_each,
    _starts_after_what_it_waits_for,
    _one_at_a_time,
    _one_runs_at_once,
    _worked_on_one_payload,
    _no_tick_is_missing,
    _expired_never_ran,
    _nothing_began_in_a_pause,
    _ticks_go_on,
    _no_tick_is_fired_twice,
)
#: Those that compare moments which the ledger's clock has shown.
OF_MOMENTS = frozenset(
    {
        _met_what_was_sent,
        _starts_after_what_it_waits_for,
        _one_at_a_time,
        _one_runs_at_once,
        _no_tick_is_missing,
        _expired_never_ran,
        _nothing_began_in_a_pause,
    }
)
