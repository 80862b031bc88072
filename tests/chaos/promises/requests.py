"""Nothing that was acknowledged is missing, nothing is there that was not requested."""

from collections.abc import Iterator

from failsoft.job_engine.invariants import Violation
from tests.chaos.history.evidence import Evidence
from tests.chaos.workload.operations import ASKS_FOR_A_JOB, CONFLICT, DISPATCH, FAIL, OK, UNIQUE
from tests.chaos.workload.requests import Within

#: How the tail of a healed run must look: so many of each dispatcher's last requests succeed.
TAIL = 3


def acknowledged_is_there(evidence: Evidence) -> Iterator[Violation]:
    """Find jobs that were acknowledged, or that ran, and that the ledger does not have (I1)."""
    rule = "what was acknowledged is in the ledger"
    for operation in evidence.operations:
        if operation.outcome == OK and operation.job_id not in evidence.cases:
            yield Violation(str(operation.job_id), "I1", rule, f"missing: {operation}")
        if operation.answer.get("error") == "JobNotFoundError":
            yield Violation(str(operation.job_id), "I1", rule, f"not found: {operation}")
    for job_id in {line.job_id for line in evidence.lines} - evidence.cases.keys():
        yield Violation(job_id, "I1", "only what is in the ledger runs", "it ran")


def requested(evidence: Evidence) -> Iterator[Violation]:
    """Find jobs that were not requested, or whose every request was refused (I1)."""
    labels = {
        operation.label
        for operation in evidence.operations
        if operation.kind in ASKS_FOR_A_JOB and operation.outcome != FAIL
    }
    for label, job_ids in evidence.labels.items():
        if label not in labels and evidence.cases[job_ids[0]].was_requested:
            yield Violation(job_ids[0], "I1", "nothing is invented", f"no request for {label!r}")


def one_job_each(evidence: Evidence) -> Iterator[Violation]:
    """Find requests that made two jobs, and answers that name another job (I10)."""
    for label, job_ids in evidence.labels.items():
        for other in job_ids[1:]:
            yield Violation(other, "I10", "one request is one job", f"so is {job_ids[0]}: {label}")
    instead = {
        (each.label, each.job_id)
        for each in evidence.operations
        if each.kind == UNIQUE and each.answer.get("created") is False
    }
    for operation in evidence.operations:
        known = evidence.labels.get(operation.label, ())
        if (operation.label, operation.job_id) in instead:
            continue
        if operation.job_id is not None and operation.job_id not in known:
            found = f"{operation} names a job of another label than {known}"
            yield Violation(operation.job_id, "I10", "one key is one job", found)


def created_once(evidence: Evidence) -> Iterator[Violation]:
    """Find jobs that two requests claim to have made (I10)."""
    for case in evidence.cases.values():
        made = [each for each in case.operations if each.answer.get("created") is True]
        if len(made) > 1:
            yield Violation(case.job_id, "I10", "a job is made once", f"made by {made}")


def other_work_is_refused(evidence: Evidence) -> Iterator[Violation]:
    """Find dispatches of other work under a key that was taken, and that were accepted (I10)."""
    for operation in evidence.operations:
        if operation.kind == CONFLICT and operation.outcome == OK:
            found = f"accepted: {operation}"
            yield Violation(str(operation.job_id), "I10", "a key stands for one payload", found)


def committed_together(evidence: Evidence) -> Iterator[Violation]:
    """Find orders whose transaction was to make a job that is not there, and the reverse (I1)."""
    rule = "what one transaction writes is there together"
    for label in set(evidence.orders) - evidence.labels.keys():
        yield Violation("", "I1", rule, f"an order without its job: {label!r}")
    orders = set(evidence.orders)
    for operation in evidence.operations:
        within = operation.answer.get("way") == Within.__name__
        if operation.outcome == OK and within and operation.label not in orders:
            yield Violation(str(operation.job_id), "I1", rule, f"no order: {operation}")


def healthy_again(evidence: Evidence, healed: int) -> Iterator[Violation]:
    """Find dispatchers whose last requests did not succeed although everything was healed."""
    for actor in {operation.actor for operation in evidence.operations}:
        mine = [
            each
            for each in evidence.operations
            if each.actor == actor and each.kind == DISPATCH and each.invoked > healed
        ]
        tail = sorted(mine, key=lambda each: each.invoked)[-TAIL:]
        if len(tail) < TAIL or any(each.outcome != OK for each in tail):
            found = f"the last requests of {actor} were {tail}"
            yield Violation("", "I1", "after the heal every request succeeds", found)
