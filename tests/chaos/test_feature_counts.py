"""What a run met is counted by what its jobs did, and what none did is reported."""

from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.job_histories import Story, evidence_of
from tests.chaos.feature_counts import IN_OTHER_ENDS, IN_SUCCESSES, attempts_on, met, never_met
from tests.chaos.plan import Plan
from tests.chaos.workload.definitions import in_loop
from tests.chaos.workload.script import Script


def test_only_what_ended_well_is_counted() -> None:
    in_transaction = Script(label="tx", tx_at=1)
    good = Story("good", in_transaction, in_loop.name)
    failed = Story("failed", in_transaction, in_loop.name).ends(JobState.FAILED)

    counts = met(evidence_of(good, failed))

    assert (counts["`tx` steps"], counts["async handlers"], counts["cancelled"]) == (1, 1, 0)
    assert counts.keys() >= {*IN_SUCCESSES, *IN_OTHER_ENDS}


def test_what_each_engine_of_the_run_has_run_is_counted() -> None:
    counts = attempts_on(
        evidence_of(*(Story(each, Script(label=each)) for each in "ab")), ["rq", "kafka"]
    )

    assert counts == {"attempts on rq": 2, "attempts on kafka": 0}


def test_what_nothing_met_is_reported() -> None:
    assert never_met({"sleeps": 0, "`tx` steps": 3}) == ["never met: sleeps"]


def test_only_a_long_run_has_to_meet_everything() -> None:
    assert Plan(seed="", faults=300).expects_everything
    assert not Plan(seed="", faults=35).expects_everything
