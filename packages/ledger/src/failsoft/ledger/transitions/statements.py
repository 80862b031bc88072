"""The SQL that `transitions` executes; each statement is built once and cached."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Select,
    String,
    Text,
    Update,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import CANCEL, CLAIM, REOFFER, Fence, JobState, Transition
from failsoft.ledger.database.inserts import AnyInsert, insert_into
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema import packed_events
from failsoft.ledger.schema.conditions import IS_HELD_BACK
from failsoft.ledger.schema.jobs import IS_ALONE, IS_LIMITED, LIMIT_COLUMNS, by_itself, jobs
from failsoft.ledger.schema.tables import attempts, dispatch_attempts, events, sent_events, steps
from failsoft.ledger.transitions import remembered_keys

_BRIEF = tuple(
    jobs.c[n]
    for n in (
        *("id", "name", "queue", "engine", "state", "epoch", "events"),
        *("follow_ups", "parent_id"),
    )
)
#: A job that is named by its id is found by it, and by no index of its state.
_state = by_itself(jobs.c.state)
_IS_PACKED = packed_events.IS_PACKED.label("is_packed")
_CLAIMED = tuple(
    jobs.c[n]
    for n in (
        *("id", "name", "queue", "engine", "state", "epoch", "events", "claim_id", "payload"),
        *("claims", "errors", "crashes", "releases", "lease_us", "depth"),
        *("idempotency_root", "version", "created_at", "lease_until", "trace_context"),
        *LIMIT_COLUMNS,
    )
)

#: What is read back of many that were handed over: all else is as it was seen.
_MOVED = tuple(
    jobs.c[n]
    for n in (
        *("id", "state", "engine", "epoch", "revision", "events"),
        *("handoffs", "pickups_missed", "run_at", "pickup_by"),
    )
)

#: What is read back of a new job.
_OF_NEW = ("id", "events", "state", "epoch", "created_at", "run_at", "pickup_by")

#: A claim comes too late for a job that should have begun by now and never has.
_MAY_BEGIN = (
    jobs.c.expires_at.is_(None) | jobs.c.started_at.is_not(None) | (jobs.c.expires_at > now_us())
)

#: What few jobs have: a parameter of the insert, the column that it sets, and to what.
_EXTRAS: dict[str, tuple[str, Any]] = {
    "expires_at": ("expires_at", bindparam("expires_at", type_=BigInteger)),
    "expires_in": ("expires_at", now_us() + bindparam("expires_in", type_=BigInteger)),
    "key_for": ("key_until", now_us() + bindparam("key_for", type_=BigInteger)),
    "unique_key": ("unique_key", bindparam("unique_key")),
    "unique_scope": ("unique_scope", bindparam("unique_scope")),
    "unique_for": ("unique_until", now_us() + bindparam("unique_for", type_=BigInteger)),
    **{name: (name, bindparam(name, type_=jobs.c[name].type)) for name in LIMIT_COLUMNS},
}
NO_EXTRAS: frozenset[str] = frozenset()
#: Returns what stands for a value, by its name: a parameter, or a column.
Given = Callable[..., ColumnElement[Any]]
#: What a guard may compare that is no column.
_GUARDED: dict[str, ColumnElement[bool]] = {"is_limited": IS_LIMITED, "is_alone": IS_ALONE}


@lru_cache
def insert_job(
    dialect: str, *, offered: bool, extras: frozenset[str] = NO_EXTRAS
) -> ReturningInsert[*tuple[Any, ...]]:
    """Insert a job, offered or scheduled, unless its id or key is taken; return its times.

    Args:
        dialect: The database's.
        offered: Whether it is offered at once.
        extras: The parameters that it has besides those of every job.
    """
    deadline = now_us() + bindparam("wait", type_=BigInteger)
    values: dict[str, Any] = {"created_at": now_us(), "events": 1}
    if offered:
        values |= {"state": JobState.OFFERED, "epoch": 1, "pickup_by": deadline}
    else:
        run_at = func.coalesce(bindparam("run_at", type_=jobs.c.run_at.type), deadline)
        values |= {"state": JobState.SCHEDULED, "epoch": 0, "run_at": run_at}
    given: tuple[str, ...] = ("id", "name", "queue", "payload", "payload_sha", "idempotency_key")
    given += ("priority", "engines", "tags", "follow_ups", "waits_for", "version")
    given += ("trace_context",)
    given += ("engine",) if offered else ()
    values |= {name: bindparam(name, type_=jobs.c[name].type) for name in given}
    values["history"] = packed_events.FIRST
    more = dict(_EXTRAS[name] for name in sorted(extras))
    insert_ = insert_into(dialect, jobs)
    if "key_for" in extras:
        # Its key may be remembered although the job that had it is gone.
        columns = {name: _typed(name, value) for name, value in (values | more).items()}
        unused = select(*columns.values()).where(~remembered_keys.IS_TAKEN)
        statement = insert_.from_select(list(columns), unused).on_conflict_do_nothing()
    else:
        statement = insert_.values(values | more).on_conflict_do_nothing()
    return statement.returning(*(jobs.c[name] for name in (*_OF_NEW, *more)), _IS_PACKED)


def _typed(name: str, value: object) -> ColumnElement[Any]:
    return value if isinstance(value, ColumnElement) else literal(value, jobs.c[name].type)


@lru_cache
def insert_step(dialect: str) -> AnyInsert:
    """Insert a step unless it is recorded."""
    given = ("job_id", "name", "seq", "kind", "result", "epoch", "elapsed_us")
    values: dict[str, Any] = {name: bindparam(name) for name in given} | {"recorded_at": now_us()}
    return insert_into(dialect, steps).values(values).on_conflict_do_nothing()


def keep_event(dialect: str) -> AnyInsert:
    """Insert a sent event unless its id is kept; its values are still to be given."""
    return insert_into(dialect, sent_events).on_conflict_do_nothing()


def replace_step(job: ColumnElement[str], before: StepKind, after: StepKind) -> Update:
    """Replace a step of a job that waits for its result by the result."""
    return (
        update(steps)
        .where(
            steps.c.job_id == job,
            steps.c.name == bindparam("at_name"),
            steps.c.kind == before,
        )
        .values(
            kind=after,
            result=bindparam("to_result"),
            epoch=bindparam("to_epoch"),
            recorded_at=now_us(),
        )
    )


def settle_step(job: ColumnElement[str]) -> Update:
    """Replace the intent of a `once` step of a job by its result."""
    replaced = replace_step(job, StepKind.INTENT, StepKind.ONCE)
    return replaced.values(elapsed_us=bindparam("to_elapsed_us", type_=steps.c.elapsed_us.type))


_AT_JOB: ColumnElement[str] = bindparam("at_job")
#: The intent of a `once` step by its result (rule 10).
SETTLE_STEP = settle_step(_AT_JOB)
#: What a step waits for by the answer.
ANSWER_STEP = replace_step(_AT_JOB, StepKind.WAIT, StepKind.ANSWERED)


@lru_cache
def insert_try(dialect: str) -> AnyInsert:
    """Insert a dispatch try unless it is noted."""
    given = ("job_id", "epoch", "engine", "stage", "outcome", "reason", "elapsed_us")
    values: dict[str, Any] = {name: bindparam(name) for name in given} | {"at": now_us()}
    return insert_into(dialect, dispatch_attempts).values(values).on_conflict_do_nothing()


@lru_cache
def compare_and_set(
    transition: Transition,
    guard: frozenset[str],
    values: frozenset[str],
    spans: frozenset[str],
    *,
    bounded: frozenset[str] = NO_EXTRAS,
) -> ReturningUpdate[Any]:
    """Build the compare-and-set of a transition.

    Args:
        transition: The transition.
        guard: The columns compared, as parameters `at_<column>`.
        values: The columns set, as parameters `to_<column>`.
        spans: Those of them that are set to now plus a span.
        bounded: Those of the spans that end no later than a moment, the parameter `by_<column>`.
    """
    return compare_and_set_with(bindparam, transition, guard, values, spans=spans, bounded=bounded)


def given_of(
    guard: frozenset[str], values: frozenset[str], spans: frozenset[str]
) -> Mapping[str, TypeEngine[Any]]:
    """Return what a compare-and-set is given, and of which types."""
    seen = {f"at_{name}": _column(name).type for name in ("id", *sorted(guard))}
    seen["packed"] = Text()
    return seen | {f"to_{name}": _type_of(name, spans) for name in sorted(values)}


def compare_and_set_with(
    given: Given,
    transition: Transition,
    guard: frozenset[str],
    values: frozenset[str],
    *,
    spans: frozenset[str],
    bounded: frozenset[str] = NO_EXTRAS,
) -> ReturningUpdate[Any]:
    """Build the compare-and-set of a transition, see `compare_and_set`.

    Args:
        given: Returns what stands for a value: a parameter, or a column, by its name.
        transition: The transition.
        guard: The columns compared.
        values: The columns set.
        spans: Those of them that are set to now plus a span.
        bounded: Those of the spans that end no later than a moment.
    """
    conditions = [jobs.c.id == given("at_id")]
    conditions.append(or_(*(_state == source for source in sorted(transition.sources))))
    conditions += [_compared(name) == given(f"at_{name}") for name in sorted(guard)]
    if transition is CLAIM:
        conditions += [_MAY_BEGIN, ~IS_HELD_BACK]
    missing = transition.fence.value - guard
    if missing:
        raise AssertionError(f"{transition.name} needs {missing} in its guard")
    changes = _side_effects(transition, sets_engine="engine" in values)
    for name in values:
        value = given(f"to_{name}", type_=_type_of(name, spans))
        changes[name] = now_us() + value if name in spans else value
        if name in bounded:
            latest = given(f"by_{name}", type_=BigInteger())
            changes[name] = case((changes[name] < latest, changes[name]), else_=latest)
    packed = given("packed", type_=Text())
    changes["history"] = packed_events.appended(changes.get("epoch", jobs.c.epoch), packed)
    wanted = (*_wanted(transition), _IS_PACKED)
    if transition is CLAIM:
        wanted = (*wanted, packed_events.OFFERED_AT_ONCE.label("offered_at_once"))
    return update(jobs).where(*conditions).values(changes).returning(*wanted)


def reoffer_many(found: Select[Any]) -> ReturningUpdate[Any]:
    """Build the hand-over of the jobs whose ids a query finds, to one engine."""
    changes = _side_effects(REOFFER, sets_engine=True)
    changes |= {"engine": bindparam("to_engine", type_=jobs.c.engine.type)}
    changes |= {"pickup_by": now_us() + bindparam("to_pickup_by", type_=BigInteger)}
    changes["history"] = packed_events.appended(changes["epoch"], bindparam("packed", type_=Text()))
    offers = update(jobs).where(jobs.c.id.in_(found), _state == JobState.OFFERED)
    return offers.values(changes).returning(*_MOVED, _IS_PACKED)


def _type_of(name: str, spans: frozenset[str]) -> TypeEngine[Any]:
    return BigInteger() if name in spans else jobs.c[name].type


def _wanted(transition: Transition) -> Sequence[Column[Any]]:
    # An attempt and a cancel need little of the row; all others go on with the whole job.
    if transition is CLAIM:
        return _CLAIMED
    return _BRIEF if is_brief(transition) else tuple(jobs.c)


def is_brief(transition: Transition) -> bool:
    """Return whether a transition reads no time back: one of an attempt, or a cancel."""
    return transition in (CLAIM, CANCEL) or transition.fence is Fence.CLAIM


def _column(name: str) -> ColumnElement[Any]:
    return _GUARDED[name] if name in _GUARDED else jobs.c[name]


def _compared(name: str) -> ColumnElement[Any]:
    column = _column(name)
    return by_itself(column) if isinstance(column.type, String) else column


def _side_effects(transition: Transition, *, sets_engine: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": transition.target,
        "revision": jobs.c.revision + 1,
        "events": jobs.c.events + 1,
    }
    if transition.new_epoch:
        changes |= {"epoch": jobs.c.epoch + 1, "run_at": None, "taken_until": None}
    if transition is REOFFER:
        changes["pickups_missed"] = jobs.c.pickups_missed + 1
    if transition.charges is not None:
        changes[transition.charges] = jobs.c[transition.charges] + 1
    if sets_engine and transition.new_epoch:
        changed = jobs.c.engine.is_not(None) & (jobs.c.engine != bindparam("to_engine"))
        changes["handoffs"] = jobs.c.handoffs + case((changed, 1), else_=0)
    if transition.ends_attempt:
        changes |= {"claim_id": None, "lease_until": None, "lease_us": None}
    if transition.target is JobState.RUNNING:
        started = func.coalesce(jobs.c.started_at, now_us())
        changes |= {
            "started_at": started,
            "pickups_missed": 0,
            "pickup_by": None,
            "awaits": None,
        }
    if transition.target.is_terminal:
        changes |= {"finished_at": now_us(), "run_at": None, "pickup_by": None, "awaits": None}
    return changes


def _of_claim(given: Given = bindparam) -> tuple[ColumnElement[bool], ...]:
    return (
        jobs.c.id == given("at_id"),
        _state == JobState.RUNNING,
        jobs.c.epoch == given("at_epoch"),
        jobs.c.claim_id == given("at_claim_id"),
    )


def fence_with(given: Given) -> Update:
    """Build the fence, with what stands for a value: a parameter, or a column."""
    renewed = {"revision": jobs.c.revision + 1, "lease_until": now_us() + jobs.c.lease_us}
    return update(jobs).where(*_of_claim(given)).values(renewed)


FENCE = fence_with(bindparam)

HELD = select(jobs.c.id).where(*_of_claim())

NOTE_PROGRESS = FENCE.values(progress=bindparam("to_progress"))

REQUEST_CANCEL = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("at_id"),
        _state == JobState.RUNNING,
        jobs.c.cancel_requested.is_(False),
    )
    .values(cancel_requested=True, events=jobs.c.events + 1)
    .returning(*jobs.c)
)

_LATER = now_us() + bindparam("to_span", type_=BigInteger)


def _postpone(state: JobState, changes: dict[str, Any]) -> Update:
    # The count of misses, too: any number of rescuers that see one deadline pass count it once.
    names = ("epoch", "revision", "pickups_missed")
    seen = [jobs.c[name] == bindparam(f"at_{name}") for name in names]
    return (
        update(jobs).where(jobs.c.id == bindparam("at_id"), _state == state, *seen).values(changes)
    )


#: By the state of the job that waits.
POSTPONE = {
    JobState.OFFERED: _postpone(
        JobState.OFFERED,
        {
            "pickup_by": _LATER,
            "pickups_missed": jobs.c.pickups_missed + bindparam("to_missed", type_=Integer),
        },
    ),
    JobState.SCHEDULED: _postpone(JobState.SCHEDULED, {"run_at": _LATER}),
}

INSERT_ATTEMPT = insert(attempts).values(
    {name: bindparam(name) for name in ("job_id", "epoch", "claim_id", "engine", "worker")}
    | {"started_at": now_us()}
)

END_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.job_id == bindparam("at_job"),
        attempts.c.epoch == bindparam("at_epoch"),
    )
    .values(ended_at=now_us(), outcome=bindparam("to_outcome"))
)
#: The same with the error that it ended with; the most end with none.
END_WITH_ERROR = END_ATTEMPT.values(error=bindparam("to_error"))

INSERT_EVENT = insert(events).values(
    {name: bindparam(name) for name in ("job_id", "n", "actor", "kind", "state", "epoch", "detail")}
    | {"at": now_us()}
)
