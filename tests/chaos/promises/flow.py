"""Chains go on link by link, and what completes a group starts once, when all have ended."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.states import JobState
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.linearizability import FOLLOW_UP
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.operations import CANCEL

Flow = Sequence[Case]


def all_or_none(evidence: Evidence) -> Iterator[Violation]:
    """Find chains and groups of which some jobs are there and some are not (I1)."""
    for flow in _flows(evidence).values():
        last = flow[-1].script
        wanted = last.size + is_group(flow)
        if [case.script.place for case in flow] != list(range(wanted)):
            found = f"{[case.script.label for case in flow]} of {wanted}"
            yield _broken(flow[0], "a flow is recorded as a whole", found)


def chains_go_on(evidence: Evidence) -> Iterator[Violation]:
    """Find links that ran before the one before had succeeded, or did not go on after it."""
    for flow in _flows(evidence).values():
        for before, after in pairwise(flow if not is_group(flow) else ()):
            yield from _waited_for(after, [before])
            ended = before.state.is_terminal
            if ended and before.state is not JobState.SUCCEEDED:
                yield from _is_cancelled(after, f"the link before it is {before.state}")
            elif ended:
                yield from _is_not_cancelled(after)
                yield from _took_the_result(before, after)


def groups_complete(evidence: Evidence) -> Iterator[Violation]:
    """Find completions that ran too early, did not start, or received wrong numbers."""
    for flow in (each for each in _flows(evidence).values() if is_group(each)):
        *members, last = flow
        yield from _waited_for(last, members)
        succeeded = sum(case.state is JobState.SUCCEEDED for case in members)
        if not all(case.state.is_terminal for case in members):
            continue
        if last.script.when == "all_succeeded" and succeeded < len(members):
            yield from _is_cancelled(last, f"{succeeded} of {len(members)} succeeded")
        else:
            yield from _is_not_cancelled(last)
            yield from _was_told(last, members)


def is_group(flow: Flow) -> bool:
    """Distinguish a group from a chain: its completion stands behind its jobs."""
    return flow[-1].script.place == flow[-1].script.size


def _waited_for(case: Case, others: Flow) -> Iterator[Violation]:
    ended = max(other.ended_at for other in others)
    if case.lines and case.first_begun < ended - TICK:
        found = f"they ended at {ended}: {case.lines[0]}"
        yield _broken(case, "it starts when what it waits for has ended", found)


def _is_cancelled(case: Case, why: str) -> Iterator[Violation]:
    if case.state is not JobState.CANCELLED or case.lines:
        found = f"{why}, it is {case.state} and saw {case.lines}"
        yield _broken(case, "it is cancelled where it may not start", found)


def _is_not_cancelled(case: Case) -> Iterator[Violation]:
    last = case.history.events[-1]
    if last.kind == CANCEL and last.actor == FOLLOW_UP:
        yield _broken(case, "it starts where it may", f"cancelled: {last.detail}")


def _took_the_result(before: Case, after: Case) -> Iterator[Violation]:
    took, result = after.script.before, before.history.job.result
    if after.history.attempts and str(took) != result:
        yield _broken(after, "a chain passes results on", f"it took {took}, not {result}")


def _was_told(last: Case, members: Flow) -> Iterator[Violation]:
    group = last.script.group
    if not last.history.attempts:
        return
    states = [case.state for case in members]
    ended = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
    counted = tuple(states.count(state) for state in ended)
    if group is None or (group.succeeded, group.failed, group.cancelled) != counted:
        yield _broken(last, "a completion is told how all ended", f"{group} of {states}")


def _flows(evidence: Evidence) -> Mapping[str, Flow]:
    flows: dict[str, list[Case]] = defaultdict(list)
    for case in evidence.cases.values():
        if case.script.flow:
            flows[case.script.flow].append(case)
    return {name: sorted(flow, key=lambda case: case.script.place) for name, flow in flows.items()}


def _broken(case: Case, rule: str, found: str) -> Violation:
    return Violation(case.job_id, "flow", rule, found)
