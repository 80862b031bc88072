"""Whatever order things happen in, no job starts before what it waits for, and each starts once."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from failsoft.job_engine import JobState
from failsoft.job_engine.invariants import history_of, violations
from failsoft.job_engine.records.job import JobRecord, Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite import fixtures
from failsoft.testing.ledger_suite.flow import chains
from tests.unit.support.attempts import HOUR

#: What may happen next: to which job, and what.
DEEDS = st.tuples(
    st.integers(0, 4), st.sampled_from(["offer", "claim", "succeed", "fail", "cancel"])
)


class Floor:
    """Jobs that things happen to, each as far as it is allowed."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(FrozenClock())
        self.claims: dict[str, Any] = {}

    def do(self, job: JobRecord, deed: str) -> None:
        due = {each.id for each in self.ledger.due(100)}
        if deed == "offer" and job.id in due:
            self.ledger.offer(job, OfferPlan("first", HOUR))
        if deed == "claim" and job.state is JobState.OFFERED:
            shown = Ticket(job.id, job.epoch, "first", job.queue, "c" * 8, "worker", HOUR)
            self.claims[job.id] = self.ledger.claim(shown)
        if deed == "cancel":
            self.ledger.cancel(job.id, "ada")
        if deed in ("succeed", "fail") and job.state is JobState.RUNNING:
            ending = fixtures.SUCCESS if deed == "succeed" else fixtures.FAILURE
            self.ledger.conclude(self.claims[job.id], ending)

    def finish(self, ids: list[str]) -> None:
        """Bring to its end whatever may still come to one."""
        for _ in range(len(ids)):
            for job_id in ids:
                for deed in ("offer", "claim", "succeed"):
                    self.do(self.ledger.get(job_id), deed)

    def expect_sound(self, ids: list[str]) -> None:
        assert [found for each in ids for found in violations(history_of(self.ledger, each))] == []
        assert all(self.ledger.get(each).claims <= 1 for each in ids)


@settings(max_examples=150)
@given(st.lists(DEEDS, max_size=40))
def test_a_chain_goes_from_end_to_end(deeds: list[tuple[int, str]]) -> None:
    floor = Floor()
    ids = [job.id for job in chains.chain(floor.ledger, 5)]

    for place, deed in deeds:
        floor.do(floor.ledger.get(ids[place]), deed)
        states = [floor.ledger.get(each).state for each in ids]
        begun = [floor.ledger.get(each).started_at is not None for each in ids]
        for before, started in zip(states, begun[1:], strict=False):
            assert before is JobState.SUCCEEDED or not started
    floor.finish(ids)

    ends = [floor.ledger.get(each).state for each in ids]
    succeeded = ends.index(JobState.CANCELLED) if JobState.CANCELLED in ends else len(ends)
    assert all(state.is_terminal for state in ends)
    assert all(state is JobState.CANCELLED for state in ends[succeeded:])
    floor.expect_sound(ids)


@settings(max_examples=150)
@given(st.lists(DEEDS, max_size=40), st.sampled_from(["all_ended", "all_succeeded"]))
def test_a_group_completes_when_it_is_over(deeds: list[tuple[int, str]], when: Any) -> None:
    floor = Floor()
    made = chains.group(floor.ledger, 4, when)
    ids = [*(f"{made.id}-{n}" for n in range(4)), str(made.completion_id)]

    for place, deed in deeds:
        floor.do(floor.ledger.get(ids[place]), deed)
        over = floor.ledger.group(made.id).is_over
        assert over == all(floor.ledger.get(each).state.is_terminal for each in ids[:-1])
        assert over or floor.ledger.get(ids[-1]).started_at is None
    floor.finish(ids)

    assert all(floor.ledger.get(each).state.is_terminal for each in ids)
    assert floor.ledger.group(made.id).ended == 4
    floor.expect_sound(ids)
