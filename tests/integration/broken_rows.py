"""Rows of a ledger that no call could have made, one for each rule; each names what is broken."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Update, delete, insert, select, update
from sqlalchemy.sql.dml import UpdateBase

from failsoft.job_engine.invariants import chains, children, hooks, waits
from failsoft.job_engine.invariants import groups as groups_invariants
from failsoft.job_engine.invariants import pauses as pauses_invariants
from failsoft.job_engine.invariants import schedules as schedules_invariants
from failsoft.job_engine.records.follow_ups import failure_id
from failsoft.job_engine.records.groups import member_id
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import event_topic
from failsoft.ledger import SqlLedger
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups, pauses, receipts, schedules, sent_events, steps
from failsoft.testing.ledger_suite import fixtures
from failsoft.testing.ledger_suite.dispatching import schedules as scheduling
from failsoft.testing.ledger_suite.flow import chains as flowing
from failsoft.testing.ledger_suite.flow import follow_ups, invoked_jobs
from tests.integration.related_jobs import awaiting, invoked, received

HOUR_US = 3_600_000_000


def do(ledger: SqlLedger, statement: UpdateBase) -> None:
    """Change rows as no ledger does."""
    ledger.database.write(lambda connection: connection.execute(statement))


def _a_link_whose_predecessor_is_gone(ledger: SqlLedger) -> str:
    first, second, _ = flowing.chain(ledger)
    do(ledger, delete(jobs).where(jobs.c.id == first.id))
    return second.id


def _a_link_that_was_forgotten(ledger: SqlLedger) -> str:
    first, second, _ = flowing.chain(ledger)
    do(ledger, _row(first.id, follow_ups=None))
    return second.id


def _a_link_started_too_early(ledger: SqlLedger) -> str:
    _, second, _ = flowing.chain(ledger)
    do(ledger, _row(second.id, waits_for=None, run_at=now_us()))
    return second.id


def _a_link_offered_while_it_waits(ledger: SqlLedger) -> str:
    _, second, _ = flowing.chain(ledger)
    ledger.offer(second, fixtures.plan())
    return second.id


def _follow_ups_cut_short(ledger: SqlLedger) -> str:
    first, _, _ = flowing.chain(ledger)
    do(ledger, _row(first.id, follow_ups='{"then": {"job_id": '))
    return first.id


def _a_completion_that_was_forgotten(ledger: SqlLedger) -> str:
    made = flowing.group(ledger, 2)
    do(ledger, update(groups).where(groups.c.id == made.id).values(completion_id="another"))
    return str(made.completion_id)


def _a_completion_started_too_early(ledger: SqlLedger) -> str:
    made = flowing.group(ledger, 2)
    do(ledger, _row(str(made.completion_id), waits_for=None, run_at=now_us()))
    return str(made.completion_id)


def _an_end_that_no_group_counted(ledger: SqlLedger) -> str:
    made = flowing.group(ledger, 2)
    do(ledger, update(groups).where(groups.c.id == made.id).values(total=3))
    return made.id


def _an_end_counted_as_another(ledger: SqlLedger) -> str:
    made = flowing.group(ledger, 2)
    flowing.run(ledger, member_id(made.id, 1))
    values = {"succeeded": 0, "failed": 1}
    do(ledger, update(groups).where(groups.c.id == made.id).values(values))
    return made.id


def _a_member_whose_group_is_gone(ledger: SqlLedger) -> str:
    made = flowing.group(ledger, 2)
    do(ledger, delete(groups).where(groups.c.id == made.id))
    return member_id(made.id, 0)


def _a_hook_of_a_success(ledger: SqlLedger) -> str:
    claim = follow_ups.hooked(ledger)
    ledger.conclude(claim, fixtures.FAILURE)
    do(ledger, _row(claim.job_id, state=JobState.SUCCEEDED))
    return failure_id(claim.job_id)


def _a_last_job_that_is_another(ledger: SqlLedger) -> str:
    return _fired(ledger, "other", last_job_id="another")


def _a_tick_that_does_not_move_on(ledger: SqlLedger) -> str:
    return _fired(ledger, "again", next_at=schedules.c.last_at)


def _a_tick_that_nobody_noted(ledger: SqlLedger) -> str:
    return _of_last_tick(ledger, _fired(ledger, "unnoted", last_at=schedules.c.last_at - HOUR_US))


def _a_tick_of_another_job(ledger: SqlLedger) -> str:
    job = _of_last_tick(ledger, _fired(ledger, "borrowed"))
    do(ledger, _row(job, name="send_welcome"))
    return job


def _a_tick_before_its_time(ledger: SqlLedger) -> str:
    job = _of_last_tick(ledger, _fired(ledger, "early"))
    do(ledger, _row(job, created_at=jobs.c.created_at - 100 * HOUR_US))
    return job


def _a_job_that_awaits_and_runs(ledger: SqlLedger) -> str:
    claim = fixtures.started(ledger)
    do(ledger, _row(claim.job_id, awaits=event_topic("paid", key="7")))
    return claim.job_id


def _a_job_that_nobody_woke(ledger: SqlLedger) -> str:
    job = awaiting(ledger)
    topic = select(jobs.c.awaits).where(jobs.c.id == job).scalar_subquery()
    event = {"id": "unheard", "topic": topic, "name": "answer", "payload": "1", "sent_at": now_us()}
    do(ledger, insert(sent_events).values(event | {"expires_at": now_us() + HOUR_US}))
    return job


def _a_parent_that_nobody_woke(ledger: SqlLedger) -> str:
    parent, child = invoked_jobs.invoked(ledger)
    do(ledger, _row(child.id, state=JobState.CANCELLED, finished_at=now_us()))
    return parent.job_id


def _an_event_without_a_receipt(ledger: SqlLedger) -> str:
    job = received(ledger)
    do(ledger, delete(receipts).where(receipts.c.job_id == job))
    return job


def _a_receipt_without_its_event(ledger: SqlLedger) -> str:
    job = received(ledger)
    do(ledger, insert(receipts).values(job_id=job, event_id="never"))
    return job


def _a_child_of_nobody(ledger: SqlLedger) -> str:
    parent, child = invoked(ledger)
    do(ledger, delete(steps).where(steps.c.job_id == parent))
    return child


def _a_parent_told_another_end(ledger: SqlLedger) -> str:
    parent, child = invoked(ledger)
    do(ledger, _row(child, result='{"sent": false}'))
    return parent


def _a_child_that_goes_on_for_nobody(ledger: SqlLedger) -> str:
    parent, child = invoked_jobs.invoked(ledger)
    do(ledger, _row(parent.job_id, state=JobState.CANCELLED, awaits=None))
    return child.id


def _an_attempt_in_a_pause(ledger: SqlLedger) -> str:
    claim = fixtures.claimed(ledger, fixtures.offered(ledger, name="paused"))
    pause = {"kind": "job", "name": "paused", "actor": "ada", "since": now_us() - HOUR_US}
    do(ledger, insert(pauses).values(pause))
    return claim.job_id


def _fired(ledger: SqlLedger, name: str, **changes: Any) -> str:
    """Fire a tick of a schedule, and change what the ledger keeps of it."""
    seen = scheduling.declared(ledger, name)
    ledger.take_tick(seen, scheduling.tick_of(seen))
    if changes:
        do(ledger, update(schedules).where(schedules.c.name == name).values(changes))
    return name


def _of_last_tick(ledger: SqlLedger, name: str) -> str:
    return str(scheduling.the(ledger, name).last_job_id)


def _row(job_id: str, **changes: Any) -> Update:
    return update(jobs).where(jobs.c.id == job_id).values(changes)


#: What breaks a row, and what must be said of it.
BREAKS: dict[Callable[[SqlLedger], str], tuple[str, str]] = {
    _a_link_whose_predecessor_is_gone: ("I1", chains.WILL_BE_STARTED),
    _a_link_that_was_forgotten: ("I1", chains.WILL_BE_STARTED),
    _a_link_started_too_early: ("chains", chains.IN_ITS_TURN),
    _a_link_offered_while_it_waits: (
        "I1",
        "a job that waits for another has no time and is not offered",
    ),
    _follow_ups_cut_short: ("I1", "what the end of a job sets off can be read"),
    _a_completion_that_was_forgotten: ("I1", chains.WILL_BE_STARTED),
    _a_completion_started_too_early: ("groups", groups_invariants.IN_ITS_TURN),
    _an_end_that_no_group_counted: ("groups", groups_invariants.OPEN),
    _an_end_counted_as_another: ("groups", groups_invariants.ENDED),
    _a_member_whose_group_is_gone: ("I1", groups_invariants.COUNTED),
    _a_hook_of_a_success: ("on_failure", hooks.BY_A_FAILURE),
    _a_last_job_that_is_another: ("schedules", schedules_invariants.LAST),
    _a_tick_that_does_not_move_on: ("schedules", schedules_invariants.MOVES_ON),
    _a_tick_that_nobody_noted: ("schedules", schedules_invariants.NOTED),
    _a_tick_of_another_job: ("schedules", schedules_invariants.OF_ITS_TICK),
    _a_tick_before_its_time: ("schedules", schedules_invariants.AFTER_ITS_TICK),
    _a_job_that_awaits_and_runs: ("waits", waits.WHO_AWAITS),
    _a_job_that_nobody_woke: ("waits", waits.WAKES),
    _a_parent_that_nobody_woke: ("waits", waits.WAKES),
    _an_event_without_a_receipt: ("events", waits.RECEIVED),
    _a_receipt_without_its_event: ("events", waits.RECEIVED),
    _a_child_of_nobody: ("invoke", children.INVOKED),
    _a_parent_told_another_end: ("invoke", children.OUTCOME),
    _a_child_that_goes_on_for_nobody: ("invoke", children.CANCELLED),
    _an_attempt_in_a_pause: ("pauses", pauses_invariants.NOTHING_BEGINS),
}
