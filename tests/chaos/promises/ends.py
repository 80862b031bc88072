"""Every job ends, in a way that its script or its misfortunes explain."""

from collections.abc import Iterator

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import EXPIRE, JobState
from tests.chaos.history.evidence import Case
from tests.chaos.history.linearizability import FOLLOW_UP, PARENT
from tests.chaos.workload.operations import CANCEL, FAIL
from tests.chaos.workload.queues import MAX_ATTEMPTS


def ended(case: Case) -> Iterator[Violation]:
    """Find jobs that have not ended; only a step in doubt may have to wait for a person (I1)."""
    job = case.history.job
    if not job.state.is_terminal and not (job.state is JobState.HELD and _is_in_doubt(case)):
        yield Violation(case.job_id, "I1", "every job ends", f"it is {job.state}: {job.error}")


def ended_for_a_reason(case: Case) -> Iterator[Violation]:
    """Find jobs that failed or were cancelled without cause, or succeeded too early (I4)."""
    job = case.history.job
    if job.state is JobState.FAILED and not (_crashed_out(case) or _failed_by_script(case)):
        found = f"{job.errors} errors, {job.crashes} crashes, {job.error}"
        yield Violation(case.job_id, "I4", "a job fails by its script or by a crash loop", found)
    if job.state is JobState.CANCELLED and not (
        _cancel_requested(case) or _needed_no_request(case)
    ):
        yield Violation(case.job_id, "I9", "a cancelled job has a cause", "no request, no expiry")
    if job.state is JobState.SUCCEEDED:
        yield from _complete(case)


def _complete(case: Case) -> Iterator[Violation]:
    done = [step.name for step in case.done]
    if done != case.script.step_names:
        found = f"it did {done} of {case.script.step_names}"
        yield Violation(case.job_id, "I4", "who succeeds has done every step", found)
    if case.history.job.result != str(len(case.script.paces)):
        found = f"got {case.history.job.result} from {len(case.script.paces)} steps"
        yield Violation(case.job_id, "I4", "the result is the handler's", found)


def _is_in_doubt(case: Case) -> bool:
    intents = [step.name for step in case.history.steps if step.kind is StepKind.INTENT]
    return case.script.in_doubt in intents


def _crashed_out(case: Case) -> bool:
    return case.history.job.crashes >= MAX_CRASHES


def _failed_by_script(case: Case) -> bool:
    job, script = case.history.job, case.script
    scripted = job.error is not None and job.error.type.endswith("ScriptedError")
    return scripted and script.failures >= MAX_ATTEMPTS and job.errors == MAX_ATTEMPTS


def _needed_no_request(case: Case) -> bool:
    """Return whether it expired, or was cancelled by the end of another job."""
    events = case.history.events
    by_a_job = (each for each in events if each.actor in (FOLLOW_UP, PARENT))
    return events[-1].kind == EXPIRE.name or any(each.kind.startswith(CANCEL) for each in by_a_job)


def _cancel_requested(case: Case) -> bool:
    return any(each.kind == CANCEL and each.outcome != FAIL for each in case.operations)
