"""What must be true of jobs that have to do with each other, in a ledger of either kind."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from failsoft.job_engine.invariants import (
    Span,
    Violation,
    chains,
    groups,
    hooks,
    pauses,
    schedules,
)
from failsoft.job_engine.invariants import children as children_invariants
from failsoft.job_engine.invariants import waits as waits_invariants
from failsoft.job_engine.invariants.waits import Met
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.follow_ups import FAILURE_PREFIX
from failsoft.job_engine.records.groups import GroupRecord, is_member
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.states import SUSPEND, JobState
from failsoft.ledger import SqlLedger
from failsoft.ledger.verify import verify
from failsoft.testing import MemoryLedger
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import Store

WAITS = (StepKind.WAIT, StepKind.ANSWERED)


def broken_together(ledger: Ledger, unsure: Sequence[Span] = ()) -> Iterator[Violation]:
    """Find what is wrong between the jobs of a ledger that nothing changes meanwhile.

    Args:
        ledger: The ledger.
        unsure: When its clock was set; a SQL ledger has that written down.
    """
    if isinstance(ledger, SqlLedger):
        for checked in verify(ledger.database):
            yield from checked.violations
    if isinstance(ledger, MemoryLedger):
        store = ledger._store
        for find in (_chains, _groups, _hooks, _waits, _children):
            yield from find(store)
        yield from () if unsure else _pauses(store)
        yield from _schedules(ledger, store, unsure)


def _chains(store: Store) -> Iterator[Violation]:
    rows = store.rows
    for row in rows.values():
        if row.waits_for is not None and row.state is JobState.SCHEDULED:
            before, group = rows.get(row.waits_for), store.groups.get(row.waits_for)
            waiting = chains.Waiting(row.id, row.waits_for, before, group)
            yield from chains.waits_in_vain(waiting)
        follow_ups = chains.read_follow_ups(row.follow_ups)
        if (
            follow_ups is not None
            and follow_ups.then is not None
            and follow_ups.then.job_id in rows
        ):
            link = chains.Link(row, rows[follow_ups.then.job_id])
            yield from chains.started_out_of_turn(link)


def _groups(store: Store) -> Iterator[Violation]:
    for group in store.groups.values():
        mine = [row.state for row in store.rows.values() if _is_of(row, group)]
        completion = store.rows.get(group.completion_id or "")
        tally = groups.Tally(
            group,
            completion.created_at if completion else store.clock.now(),
            sum(not state.is_terminal for state in mine),
            mine.count(JobState.SUCCEEDED),
            mine.count(JobState.FAILED),
            mine.count(JobState.CANCELLED),
            completion,
        )
        for check in groups.CHECKS:
            yield from check(tally)


def _is_of(row: JobRecord, group: GroupRecord) -> bool:
    follow_ups = chains.read_follow_ups(row.follow_ups)
    return follow_ups is not None and follow_ups.group == group.id and is_member(row.id, group.id)


def _hooks(store: Store) -> Iterator[Violation]:
    for row in store.rows.values():
        failed = store.rows.get((row.idempotency_key or "").removeprefix(FAILURE_PREFIX))
        if failed is not None:
            yield from hooks.set_off_by_nothing(hooks.SetOff(row, failed))


def _waits(store: Store) -> Iterator[Violation]:
    met = _met(store)
    received: defaultdict[str, list[str]] = defaultdict(list)
    for job_id, event_id in store.received:
        received[job_id].append(event_id)
    for row in store.rows.values():
        noted = waits_invariants.Received(row.id, received[row.id], met[row.id])
        yield from waits_invariants.received_otherwise(noted)
        if row.awaits is not None:
            yield from waits_invariants.awaits_in_vain(
                _awaiting(store, row, row.awaits, met[row.id])
            )


def _awaiting(store: Store, row: Row, topic: str, met: Sequence[Met]) -> waits_invariants.Awaiting:
    suspension = store.attempts[row.id].get(row.epoch)
    suspended = suspension is not None and suspension.outcome == SUSPEND.name
    missed = None
    if suspension is not None and suspension.ended_at is not None:
        since = suspension.ended_at
        sent = (each for each, _, until in store.sent.values() if until > since)
        there = (each.id for each in sent if each.topic == topic)
        missed = next((each for each in there if (row.id, each) not in store.received), None)
    waits = [step for step in met if step.kind is StepKind.WAIT]
    children = [store.rows[each.child_id] for each in waits if each.child_id in store.rows]
    child = children[0].state if children else None
    return waits_invariants.Awaiting(
        row.id, row.state, topic, row.run_at, suspended, waits, child, missed
    )


def _children(store: Store) -> Iterator[Violation]:
    met = _met(store)
    for row in store.rows.values():
        parent = store.rows.get(row.parent_id or "")
        if parent is not None:
            steps = [step for step in met[parent.id] if step.child_id == row.id]
            child = children_invariants.Child(row, row.depth, parent, parent.depth, steps)
            yield from children_invariants.broken_by(child)


def _pauses(store: Store) -> Iterator[Violation]:
    for pause in store.pauses.values():
        for row in store.rows.values():
            covered = pause.covers(row.name, row.queue)
            for attempt in store.attempts[row.id].values() if covered else ():
                begun = pauses.Begun(row.id, attempt.epoch, attempt.started_at, pause)
                yield from pauses.begun_in_a_pause(begun)


def _schedules(ledger: MemoryLedger, store: Store, unsure: Sequence[Span]) -> Iterator[Violation]:
    for schedule in ledger.schedules()[1]:
        yield from schedules.out_of_step(schedule)
        for row in store.rows.values():
            fired = schedules.Fired(row.id, row.name, row.idempotency_key or "", row.created_at)
            yield from schedules.fired_wrongly(schedule, fired, unsure)


def _met(store: Store) -> Mapping[str, Sequence[Met]]:
    return {
        job_id: [
            waits_invariants.met_from(job_id, step)
            for step in store.steps[job_id]
            if step.kind in WAITS
        ]
        for job_id in store.rows
    }
