"""Of the jobs with one unique key, at no time two have begun and not ended (I10)."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from failsoft.job_engine.invariants import Violation
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import TICK
from tests.chaos.promises.steps import is_late
from tests.chaos.workload.definitions import one_each
from tests.chaos.workload.operations import OK, UNIQUE


def one_at_a_time(evidence: Evidence) -> Iterator[Violation]:
    """Find jobs that were recorded before the one before them with their key had ended."""
    for before, after in _neighbours(evidence):
        if before.ended_at > after.created_at + TICK:
            found = f"recorded {after.created_at}, {before.job_id} ended {before.ended_at}"
            yield _broken(after, "of a key one job is incomplete at a time", found)


def none_beside_another(evidence: Evidence) -> Iterator[Violation]:
    """Find bodies of one job of a key that ran, with authority, when the next had begun."""
    for before, after in _neighbours(evidence):
        for line in before.begun:
            if line.at > after.first_begun + TICK and not is_late(before, line):
                found = f"{after.job_id} began at {after.first_begun}: {line}"
                yield _broken(before, "of a key one job runs at a time", found)


def stands_in_for_its_like(evidence: Evidence) -> Iterator[Violation]:
    """Find dispatches that were given a job of another key."""
    for operation in evidence.operations:
        case = evidence.cases.get(str(operation.job_id))
        if operation.kind != UNIQUE or operation.outcome != OK or case is None:
            continue
        if case.name != one_each.name or not operation.label.endswith(f"@{case.script.customer}"):
            found = f"{operation} was given {case.script}"
            yield _broken(case, "a dispatch is given a job of its key", found)


def _neighbours(evidence: Evidence) -> Iterator[tuple[Case, Case]]:
    by_key: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(evidence.of_name(one_each.name), key=lambda case: case.created_at):
        by_key[case.script.customer].append(case)
    for cases in by_key.values():
        yield from pairwise(cases)


def _broken(case: Case, rule: str, found: str) -> Violation:
    return Violation(case.job_id, "I10", rule, found)
