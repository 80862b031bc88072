"""The promises I1 to I12 as checks over what a ledger keeps of a job: pure, no I/O.

The tests of every layer and `failsoft ledger verify` use these and no others. `CHECKS` look at
one job; `of_limits` and the modules of the features, from `of_chains` to `of_pauses`, at several
that have to do with each other, as far as they are there: ended jobs are pruned.

What leaves no trace in the ledger is not checked here: that a finished or a `once` step does not
begin again (I5, I6) beyond its record, how often a plain step ran (I7), and `tx` steps (I11).
"""

from collections.abc import Iterable, Iterator, Sequence

from failsoft.job_engine.invariants import chains, rows
from failsoft.job_engine.invariants import events as events_invariants
from failsoft.job_engine.invariants.history import (
    Check,
    History,
    Span,
    Violation,
    has_unsure_moments,
    history_of,
    is_unsure,
)
from failsoft.job_engine.invariants.limits import LimitedAttempt, beyond_their_limit
from failsoft.job_engine.ports.expiry import holds_unique_key
from failsoft.job_engine.records.job import JobRecord

__all__ = [
    "CHECKS",
    "Check",
    "History",
    "LimitedAttempt",
    "Span",
    "Violation",
    "beyond_their_limit",
    "history_of",
    "is_unsure",
    "remembered_otherwise",
    "repeated_keys",
    "violations",
]

CHECKS: tuple[Check, ...] = (
    Check(
        "I1",
        "a job that is not over has a moment at which it is looked at",
        rows.has_a_next_look,
    ),
    Check(
        "I1",
        "a job that waits for another has no time and is not offered",
        chains.never_offered_while_it_waits,
    ),
    Check("I1", "what the end of a job sets off can be read", chains.follow_ups_can_be_read),
    Check("I2", "epochs only grow, and each is offered once", events_invariants.epochs_grow),
    Check("I2", "each epoch is claimed at most once", events_invariants.claimed_at_most_once),
    Check(
        "I2",
        "every claim is an attempt, and every attempt a claim",
        rows.attempts_are_the_claims,
    ),
    Check("I3", "only the newest claim concludes", events_invariants.concluded_by_the_newest_claim),
    Check("I3", "an attempt ends once, as its event says", rows.attempts_end_with_their_event),
    Check(
        "I3",
        "steps are recorded by attempts, the newest last",
        rows.recorded_by_who_had_claimed,
        of_moments=True,
    ),
    Check(
        "I3",
        "a step is recorded while its attempt has the authority",
        rows.recorded_while_it_had_authority,
        of_moments=True,
    ),
    Check("I4", "nothing follows a terminal state", events_invariants.nothing_after_the_end),
    Check("I4", "a result belongs to a success, an end has its moment", rows.one_outcome),
    Check("I5", "a step is recorded once, in its place", rows.recorded_once_in_its_place),
    Check(
        "I6",
        "what a person let go on is in doubt no more",
        rows.settled_by_a_person,
    ),
    Check(
        "I8",
        "a job is claimed from its newest offer, by the engine it names",
        events_invariants.claimed_from_its_newest_offer,
    ),
    Check(
        "I9",
        "a job whose cancel was requested is cancelled, or had finished",
        events_invariants.cancelled_or_finished,
    ),
    Check(
        "I9",
        "no step begins after a cancel request",
        rows.no_step_after_a_cancel,
        of_moments=True,
    ),
    Check(
        "rule 4", "every change of state is in the table", events_invariants.changes_by_the_table
    ),
    Check("rule 18", "counters agree with the events", rows.counters_as_events),
    Check(
        "rule 22", "a history begins with the dispatch", events_invariants.begins_with_the_dispatch
    ),
    Check("rule 22", "events are numbered without a gap", events_invariants.numbered_without_a_gap),
    Check("rule 22", "the row is as its last event left it", rows.row_as_its_last_event),
)

_ONE_HOLDER = "a unique key is held by one job at a time"
_ONE_KEY_ONE_JOB = "one name and idempotency key is one job"


def violations(history: History, unsure: Sequence[Span] = ()) -> Iterator[Violation]:
    """Find every promise that the history of a job breaks.

    Args:
        history: The job's.
        unsure: When the clock was set back; what compares moments of such a time is left out.
    """
    is_sure = not unsure or not has_unsure_moments(history, unsure)
    for check in (each for each in CHECKS if is_sure or not each.of_moments):
        for found, events in check.find(history):
            yield Violation(history.job.id, check.invariant, check.rule, found, events)


def repeated_keys(jobs: Iterable[JobRecord]) -> Iterator[Violation]:
    """Find jobs with the name and a key of a job before them (I10)."""
    first: dict[tuple[str, str], str] = {}
    held: dict[tuple[str, str], str] = {}
    for job in jobs:
        if holds_unique_key(job):
            known = held.setdefault((job.name, str(job.unique_key)), job.id)
            if known != job.id:
                found = f"{job.name!r} with unique key {job.unique_key!r} is job {known}, too"
                yield Violation(job.id, "I10", _ONE_HOLDER, found)
        if job.idempotency_key is not None:
            known = first.setdefault((job.name, job.idempotency_key), job.id)
            if known != job.id:
                found = f"{job.name!r} with key {job.idempotency_key!r} is job {known}, too"
                yield Violation(job.id, "I10", _ONE_KEY_ONE_JOB, found)


def remembered_otherwise(job_id: str, name: str, key: str, known: str) -> Violation:
    """Return the violation of a job made under the key of another one, now pruned (I10)."""
    found = f"{name!r} with key {key!r} is job {known}, too, which was pruned"
    return Violation(job_id, "I10", _ONE_KEY_ONE_JOB, found)
