"""Each number of the verdict comes from the evidence, and each condition can fail."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from failsoft.job_engine.records.job import AttemptRecord, HistoryEntry
from failsoft.job_engine.records.states import JobState
from failsoft.worker.demo.checks import Evidence, JobFacts, Verdict, judge, problems

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def attempt(
    epoch: int, engine: str, span: tuple[float, float | None], outcome: str | None
) -> AttemptRecord:
    start, end = span
    ended = None if end is None else at(end)
    return AttemptRecord(epoch, f"claim-{epoch}", engine, "worker", at(start), ended, outcome)


def event(n: int, kind: str, state: JobState, epoch: int) -> HistoryEntry:
    return HistoryEntry("job", n, at(n), "worker", kind, state, epoch, {})


def history(*epochs: int) -> Sequence[HistoryEntry]:
    """Claims of these epochs, and a success."""
    claims = [event(n, "claim", JobState.RUNNING, epoch) for n, epoch in enumerate(epochs)]
    return [*claims, event(len(epochs), "succeed", JobState.SUCCEEDED, epochs[-1])]


ON_RQ = JobFacts(JobState.SUCCEEDED, [attempt(1, "rq", (0, 1), "succeed")], history(1), [1])
ON_DRAMATIQ = JobFacts(
    JobState.SUCCEEDED, [attempt(2, "dramatiq", (0, 1), "succeed")], history(2), [2]
)
RESUMED = JobFacts(
    JobState.SUCCEEDED,
    [attempt(1, "rq", (0, 5), "recover"), attempt(2, "dramatiq", (5, 9), "succeed")],
    history(1, 2),
    [1, 1, 2],
)
GOOD = Evidence(
    engines=["rq", "dramatiq"],
    dispatched=["import", "early", "late", "last"],
    after_failback=["last"],
    jobs={"import": RESUMED, "early": ON_RQ, "late": ON_DRAMATIQ, "last": ON_RQ},
    rows_expected=["AAA", "BBB"],
    rows_found=["BBB", "AAA"],
    webhooks_expected=3,
    webhooks_unique=3,
    webhooks_taken=4,
    returned=2,
    refused=2,
    failover=timedelta(milliseconds=12.34),
)


def with_job(facts: JobFacts) -> Evidence:
    """The good evidence, but for one job."""
    return replace(GOOD, jobs={**GOOD.jobs, "early": facts})


def test_good_evidence_shows_its_numbers_and_no_problem() -> None:
    verdict = judge(GOOD)

    assert problems(verdict) == []
    assert verdict == Verdict(
        dispatched=4,
        succeeded=4,
        failed=0,
        lost=0,
        double_authority=0,
        by_engine={"rq": 2, "dramatiq": 2},
        resumed_jobs=1,
        rows_expected=2,
        rows_imported=2,
        webhooks_expected=3,
        webhooks_received_unique=3,
        messages_returned=2,
        stale_messages_refused=2,
        failover_ms=12.3,
        failed_back=True,
    )


def test_a_job_that_is_not_in_the_ledger_is_lost() -> None:
    left = {job: facts for job, facts in GOOD.jobs.items() if job != "early"}

    verdict = judge(replace(GOOD, jobs=left))

    assert verdict.lost == 1
    assert problems(verdict) == ["jobs were lost"]


@pytest.mark.parametrize("state", [JobState.SCHEDULED, JobState.OFFERED, JobState.RUNNING])
def test_a_job_that_has_not_ended_is_lost(state: JobState) -> None:
    verdict = judge(with_job(JobFacts(state, [], [], [])))

    assert (verdict.lost, verdict.succeeded) == (1, 3)
    assert problems(verdict) == ["jobs were lost"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.HELD])
def test_a_job_that_did_not_succeed_is_a_problem_and_no_loss(state: JobState) -> None:
    verdict = judge(with_job(JobFacts(state, [], [], [])))

    assert (verdict.failed, verdict.lost) == (1, 0)
    assert problems(verdict) == ["jobs failed"]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(replace(ON_RQ, events=history(1, 1)), id="an epoch claimed twice"),
        pytest.param(
            replace(ON_RQ, attempts=[*ON_RQ.attempts, attempt(1, "rq", (2, 3), "succeed")]),
            id="two attempts of one epoch",
        ),
        pytest.param(
            replace(
                RESUMED,
                attempts=[
                    attempt(1, "rq", (0, 5.1), "recover"),
                    attempt(2, "dramatiq", (5, 9), "succeed"),
                ],
            ),
            id="attempts that overlap",
        ),
        pytest.param(
            replace(
                RESUMED,
                attempts=[
                    attempt(1, "rq", (0, None), None),
                    attempt(2, "dramatiq", (5, 9), "succeed"),
                ],
            ),
            id="an attempt that never ended before the next one",
        ),
        pytest.param(
            replace(ON_RQ, events=[*history(1), event(9, "succeed", JobState.SUCCEEDED, 1)]),
            id="a job that ended twice",
        ),
    ],
)
def test_two_authorities_over_one_job_are_found(facts: JobFacts) -> None:
    verdict = judge(with_job(facts))

    assert verdict.double_authority == 1
    assert problems(verdict) == ["jobs had two authorities"]


def test_a_row_that_is_twice_in_the_table_had_two_authorities() -> None:
    verdict = judge(replace(GOOD, rows_found=["AAA", "BBB", "AAA"]))

    assert (verdict.double_authority, verdict.rows_imported) == (1, 2)
    assert problems(verdict) == ["jobs had two authorities"]


@pytest.mark.parametrize("found", [["AAA"], ["AAA", "CCC"], []])
def test_a_row_that_is_not_in_the_table_is_missing(found: list[str]) -> None:
    verdict = judge(replace(GOOD, rows_found=found))

    assert verdict.rows_imported < verdict.rows_expected
    assert problems(verdict) == ["rows are missing"]


def test_an_import_that_one_attempt_did_alone_was_not_resumed() -> None:
    alone = replace(ON_RQ, step_epochs=[1, 1, 1])

    verdict = judge(replace(GOOD, jobs={**GOOD.jobs, "import": alone}))

    assert verdict.resumed_jobs == 0
    assert problems(verdict) == ["the import was not resumed by another attempt"]


def test_a_job_that_began_anew_was_not_resumed() -> None:
    anew = replace(RESUMED, step_epochs=[2, 2, 2])

    assert judge(replace(GOOD, jobs={**GOOD.jobs, "import": anew})).resumed_jobs == 0


def test_a_failback_after_which_everything_ran_on_the_fallback_is_none() -> None:
    jobs = {**GOOD.jobs, "last": ON_DRAMATIQ}

    verdict = judge(replace(GOOD, jobs=jobs))

    assert not verdict.failed_back
    assert problems(verdict) == ["dispatch did not fail back"]


def test_a_server_that_keeps_nothing_has_no_stale_message_to_refuse() -> None:
    assert problems(judge(replace(GOOD, returned=0, refused=0))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"webhooks_unique": 2}, "webhooks are missing"),
        ({"refused": 0}, "no stale message was refused"),
        ({"after_failback": []}, "dispatch did not fail back"),
        ({"failover": None}, "no job was accepted by the fallback after the kill"),
    ],
)
def test_what_was_not_measured_is_a_problem(change: dict[str, Any], problem: str) -> None:
    assert problems(judge(replace(GOOD, **change))) == [problem]
