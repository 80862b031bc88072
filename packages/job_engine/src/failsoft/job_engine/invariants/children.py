"""What must be true of a job that another one has invoked, and of the outcome recorded there.

It is recorded by the transaction that suspends its parent, together with what that waits for.
A parent that was pruned says nothing, nor does a newer job of its id.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from failsoft.job_engine.invariants.history import Violation
from failsoft.job_engine.invariants.waits import Met
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.canonical import digest

INVOKED = "an invoked job is that of one step of its parent, and one deeper"
OUTCOME = "a job that invokes another one receives how that ended"
CANCELLED = "what a cancelled job awaited is cancelled, or its cancel requested"


@dataclass(frozen=True, slots=True)
class Child:
    """An invoked job, and its parent.

    Attributes:
        depth: How many jobs invoked one another until it came to this one.
        steps: The steps of its parent that wait for it, or have.
    """

    job: JobRecord
    depth: int
    parent: JobRecord
    parent_depth: int
    steps: Sequence[Met]


def not_invoked_once(child: Child) -> Iterator[Violation]:
    """Find an invoked job that no step of its parent invoked, or several did."""
    if len(child.steps) != 1 or child.depth != child.parent_depth + 1:
        found = f"{len(child.steps)} steps of job {child.parent.id} have invoked it; it is"
        found = f"{found} {child.depth} deep, its parent {child.parent_depth}"
        yield Violation(child.job.id, "invoke", INVOKED, found)


def received_otherwise(child: Child) -> Iterator[Violation]:
    """Find a parent that received another end than the one there was."""
    job = child.job
    result_sha = None if job.result is None else digest(job.result)
    for step in (step for step in child.steps if step.has_end):
        if (step.state, step.result_sha) != (job.state, result_sha):
            ended = "with another result" if step.state == job.state else f"{job.state}"
            found = f"step {step.step!r} received that job {job.id} {step.state}, it is {ended}"
            yield Violation(child.parent.id, "invoke", OUTCOME, found)


def goes_on_unawaited(child: Child) -> Iterator[Violation]:
    """Find an invoked job that was not cancelled with the job that awaited it."""
    job, parent = child.job, child.parent
    awaited = any(step.kind is StepKind.WAIT for step in child.steps)
    stops = job.state.is_terminal or job.cancel_requested
    if parent.state is JobState.CANCELLED and awaited and not stops:
        found = f"it is {job.state}, job {parent.id} was cancelled"
        yield Violation(job.id, "invoke", CANCELLED, found)


CHECKS: tuple[Callable[[Child], Iterator[Violation]], ...] = (
    not_invoked_once,
    received_otherwise,
    goes_on_unawaited,
)


def broken_by(child: Child) -> Iterator[Violation]:
    """Find everything that is wrong with an invoked job and what its parent has of it."""
    if child.parent.created_at <= child.job.created_at:
        for check in CHECKS:
            yield from check(child)
