"""Each job that failed set off one job of its hook, and no other end set off any."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from failsoft.job_engine import JobFailure
from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.states import JobState
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.definitions import WITH_A_HOOK, hook


def one_hook_each(evidence: Evidence) -> Iterator[Violation]:
    """Find failed jobs without a hook's job or with several, and such jobs without a failure."""
    hooks = _by_failed_job(evidence)
    for case in evidence.cases.values():
        wanted = int(case.state is JobState.FAILED and case.name in WITH_A_HOOK)
        mine = [each.job_id for each in hooks.get(case.job_id, ())]
        if len(mine) != wanted:
            found = f"it is {case.state} and set off {mine}"
            yield _broken(case, "a failure sets off one job", found)
    for job_id in hooks.keys() - evidence.cases.keys():
        yield _broken(hooks[job_id][0], "a hook is set off by a job", f"by {job_id}")


def told_what_failed(evidence: Evidence) -> Iterator[Violation]:
    """Find jobs of a hook that ran before the failure, or received another one."""
    for job_id, cases in _by_failed_job(evidence).items():
        failed = evidence.cases.get(job_id)
        for case in cases if failed else ():
            assert failed is not None
            if case.first_begun < failed.ended_at - TICK:
                found = f"failed at {failed.ended_at}: {case.lines[0]}"
                yield _broken(case, "a hook runs after the failure", found)
            error = failed.history.job.error
            if error is None or _failure(case).error_type != error.type:
                found = f"{_failure(case)} of {error}"
                yield _broken(case, "a hook is told the error", found)


def _by_failed_job(evidence: Evidence) -> Mapping[str, list[Case]]:
    hooks: dict[str, list[Case]] = defaultdict(list)
    for case in evidence.of_name(hook.name):
        hooks[_failure(case).job_id].append(case)
    return hooks


def _failure(case: Case) -> JobFailure:
    return JobFailure.model_validate_json(case.history.job.payload)


def _broken(case: Case, rule: str, found: str) -> Violation:
    return Violation(case.job_id, "on_failure", rule, found)
