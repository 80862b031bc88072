"""What people do to jobs from the command line."""

import pytest

from tests.integration.cli.command_line import CommandLine
from understudy.job_engine.invariants import history_of, violations
from understudy.job_engine.records import Conclusion, StepKind, StepRecord
from understudy.job_engine.states import HOLD
from understudy.testing.ledger_suite.scene import ERROR, started
from understudy.worker.exits import FAILURE, OK, USAGE


def held(cli: CommandLine) -> str:
    with cli.ledger() as ledger:
        claim = started(ledger)
        ledger.record(claim, StepRecord("pay", 0, StepKind.INTENT, "null"))
        ledger.conclude(claim, Conclusion(HOLD, error=ERROR))
        return claim.job_id


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("--retry",), "scheduled"),
        (("--done", 'pay={"at": 3}'), "scheduled"),
        (("--result", '"by hand"'), "succeeded"),
        (("--fail", "--epoch", "1"), "failed"),
    ],
)
def test_a_held_job_is_resolved_and_twice_is_harmless(
    cli: CommandLine, words: tuple[str, ...], state: str
) -> None:
    job_id = held(cli)

    first = cli.run("jobs", "resolve", job_id, *words, "--reason", "I know", "--json")
    again = cli.run("jobs", "resolve", job_id, *words, "--reason", "I know")

    assert (first.json["id"], first.json["state"]) == (job_id, state)
    assert (again.status, again.out.strip()) == (OK, f"{job_id} is {state}")
    with cli.ledger() as ledger:
        last = ledger.events(job_id)[-1]
        assert (len(ledger.events(job_id)), last.detail["reason"]) == (4, "I know")
        assert list(violations(history_of(ledger, job_id))) == []


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        ((), USAGE, "expected one of --retry"),
        (("--retry", "--fail"), USAGE, "expected one of --retry"),
        (("--done", "pay"), USAGE, "expected a result as JSON"),
        (("--done", "ship=1"), FAILURE, "in doubt (pay), got ship"),
        (("--result", "yes"), USAGE, "expected a result as JSON"),
        (("--retry", "--epoch", "2"), FAILURE, "to be held at epoch 2"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(
    cli: CommandLine, words: tuple[str, ...], status: int, expected: str
) -> None:
    job_id = held(cli)

    answer = cli.run("jobs", "resolve", job_id, *words)

    assert (answer.status, answer.out) == (status, "")
    assert expected in answer.err
    assert cli.state(job_id) == "held"
