"""An invoked job is one job, and its parent goes on when it has ended, with its result."""

from collections.abc import Iterator

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.states import JobState
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.handlers import CANCELLED, FAILED, INVOKED


def one_child_each(evidence: Evidence) -> Iterator[Violation]:
    """Find children that were not invoked, several of one step, and parents without theirs."""
    parents = {
        each.script.child.label: each for each in evidence.cases.values() if each.script.child
    }
    for child in evidence.of_name(INVOKED.name):
        if child.script.label not in parents:
            yield _broken(child, "an invoked job has a parent", f"none: {child.script.label}")
    for label, parent in parents.items():
        children = evidence.labels.get(label, ())
        if len(children) > 1 or (parent.met_of(INVOKED.name) and not children):
            yield _broken(parent, "a step invokes one job", f"it invoked {children}")


def told_as_it_ended(evidence: Evidence) -> Iterator[Violation]:
    """Find parents that went on before their child had ended, or received another end."""
    for parent in evidence.cases.values():
        label = parent.script.child.label if parent.script.child else ""
        for job_id in evidence.labels.get(label, ()):
            child = evidence.cases[job_id]
            for line in parent.met_of(INVOKED.name):
                if line.at < child.ended_at - TICK:
                    found = f"{line}, the child ended at {child.ended_at}"
                    yield _broken(parent, "who invokes waits for the end", found)
                if line.met != _end_of(child):
                    found = f"{line}, the child ended as {_end_of(child)}"
                    yield _broken(parent, "who invokes is told the end", found)


def _end_of(child: Case) -> str | None:
    ends = {JobState.FAILED: FAILED, JobState.CANCELLED: CANCELLED}
    return ends.get(child.state, child.history.job.result)


def _broken(case: Case, rule: str, found: str) -> Violation:
    return Violation(case.job_id, "invoke", rule, found)
