"""No job is charged for the ledger's trouble: its errors are its own, its crashes are a strike's.

A crash is explained by what befell the attempt's worker while it ran: it was killed, halted,
stopped, its clock was set wrong, its own way to the ledger was cut, or the machine gave it no time
(which it notes itself, in a thread that does nothing else). That the ledger itself was away,
silent, read-only or full, or that its own clock jumped, explains none: that is what is found here.
A lease that ran out while nothing at all was struck is the machine's, which was too busy to
renew it. A worker behind the pooler reaches the ledger later than a rescuer beside it, after any
trouble of the ledger: its charge stays if the job ends within a lease of it (R18).
"""

from collections.abc import Iterator

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import AttemptRecord
from failsoft.job_engine.records.states import CRASH, CRASH_OUT, EXHAUST, RECOVER, JobState
from tests.chaos.faults.schedule import Fired
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.queues import LEASE

#: The ends of attempts that a crash is charged for.
CHARGED = frozenset(each.name for each in (RECOVER, EXHAUST, CRASH, CRASH_OUT))
#: The machine itself gave a process no time; if the one that breaks everything, maybe no other.
STALL = "stall"
MACHINE = "the machine"
#: What a strike on a worker looks like; what is done to its other links breaks no attempt.
ON_PROCESSES = ("kill", "freeze", "terminate", "skew", STALL)
ON_LINKS = "to ledger"
ON_THE_LEDGER = ("postgresql", "pgbouncer", "sqlite", "clock")
#: How long after a strike a lease still runs out for it, in microseconds: a lease, and as long
#: again until the rescuers have seen it stand still (rule 12), and as much for a busy machine.
AFTERWARDS = int(4 * LEASE.total_seconds() * 1e6)
#: How long an owner that lives may need to take a charge back, in microseconds.
TO_TAKE_BACK = int(LEASE.total_seconds() * 1e6)


def errors_are_its_own(case: Case) -> Iterator[Violation]:
    """Find jobs with more errors than their script raises."""
    job, script = case.history.job, case.script
    raises = script.failures if script.fails_at else 0
    if job.errors > raises:
        found = f"{job.errors} errors, of which it raises {raises} at most: {job.error}"
        yield Violation(case.job_id, "charge", "a job's errors are its own", found)


def crashes_are_explained(evidence: Evidence) -> Iterator[Violation]:
    """Find jobs with more crashes than strikes on their workers explain."""
    for case in evidence.cases.values():
        if unexplained(evidence, case):
            lost = [each for each in case.history.attempts if each.outcome in CHARGED]
            actors = [evidence.workers.get(each.worker, "?") for each in lost]
            found = f"{case.history.job.crashes} crashes; nothing struck one of {actors}: {lost}"
            yield Violation(case.job_id, "charge", "a job's crashes are some strike's", found)


def unexplained(evidence: Evidence, case: Case) -> int:
    """Return how many crashes of a job the ledger's trouble brought about, and no strike else.

    A crash that was taken back is none.
    """
    lost = [each for each in case.history.attempts if each.outcome in CHARGED]
    blameless = sum(
        _left_no_time(evidence, case, attempt) or not _is_the_ledgers(evidence, case, attempt)
        for attempt in lost
    )
    return max(0, case.history.job.crashes - blameless)


def _left_no_time(evidence: Evidence, case: Case, attempt: AttemptRecord) -> bool:
    """Return whether a job ended before an owner behind the pooler could take the charge back."""
    if evidence.workers.get(attempt.worker) not in evidence.pooled:
        return False
    job = case.history.job
    within_a_lease = case.at(job.finished_at) - case.at(attempt.ended_at) < TO_TAKE_BACK
    return within_a_lease and attempt.outcome == RECOVER.name and job.state != JobState.FAILED


def _is_the_ledgers(evidence: Evidence, case: Case, attempt: AttemptRecord) -> bool:
    """Return whether the ledger was struck while an attempt ran, and its worker was not."""
    began, ended = case.at(attempt.started_at) - TICK, case.at(attempt.ended_at) + TICK
    meanwhile = [
        strike
        for strike in evidence.strikes
        if strike.began <= ended and began <= strike.ended + AFTERWARDS
    ]
    actor = evidence.workers.get(attempt.worker)
    struck = any(
        each.kind.startswith(ON_THE_LEDGER) and each.began <= ended and began <= each.ended
        for each in meanwhile
    )
    return struck and not any(_hits(each, actor) for each in meanwhile)


def _hits(strike: Fired, actor: str | None) -> bool:
    """Return whether a strike can have cost a worker its attempt; of one unknown, any worker."""
    detail = strike.detail or ""
    harms = strike.kind.startswith(ON_PROCESSES) or ON_LINKS in detail
    return harms and (actor is None or actor in detail or detail == MACHINE)
