"""A `tx` step and its record are one transaction: its row is there once, or not at all (I11)."""

from collections.abc import Iterator

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import StepKind
from tests.chaos.history.evidence import Case


def one_row_each(case: Case) -> Iterator[Violation]:
    """Find recorded `tx` steps without their row or with several, and rows without a record."""
    step = case.script.in_transaction
    recorded = step is not None and case.step(step, StepKind.RUN) is not None
    rows = [effect for effect in case.effects if effect.step == step]
    if len(rows) != recorded:
        found = f"{step} is {'' if recorded else 'not '}recorded and has rows {rows}"
        yield Violation(case.job_id, "I11", "a transaction took effect once or not at all", found)
    for stray in set(case.effects) - set(rows):
        yield Violation(case.job_id, "I11", "what took effect is a `tx` step", f"it is {stray}")


def by_who_recorded_it(case: Case) -> Iterator[Violation]:
    """Find rows that another attempt wrote than the one that recorded their step."""
    for effect in case.effects:
        step, attempt = case.step(effect.step, StepKind.RUN), case.attempt(effect.attempt)
        if step is not None and (attempt is None or attempt.epoch != step.epoch):
            found = f"{effect} is recorded by epoch {step.epoch}"
            yield Violation(case.job_id, "I11", "the row is the recording attempt's", found)
