"""What people do to jobs from the command line."""

import pytest

from failsoft.job_engine.invariants import history_of, violations
from failsoft.job_engine.records.job import Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.fixtures import ENDINGS, ERROR, claimed, plan, started, step
from failsoft.worker.exit_codes import FAILURE, OK, USAGE
from tests.integration.cli.command_line import DOCTOR, JOBS, CommandLine


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


def failed(cli: CommandLine, payload: str = '{"numbers": [1]}') -> str:
    """Let the handler of a user's job fail."""
    made = cli.run("dispatch", "add", payload, "--json").json["id"]
    with cli.ledger() as ledger:
        job = ledger.offer(ledger.get(made), plan())
        assert job is not None
        claim = claimed(ledger, job)
        ledger.record(claim, step("add", 0))
        ledger.conclude(claim, ENDINGS[JobState.FAILED])
    return str(made)


def test_failed_jobs_are_tried_again_by_id_and_in_bulk(cli: CommandLine) -> None:
    first, second = failed(cli), failed(cli)

    one = cli.run("jobs", "retry", first, "--reason", "fixed", "--json").json
    same = cli.run("jobs", "retry", first, "--json").json
    rest = cli.run("jobs", "retry", "--name", "add", "--since", "1h", "--yes")
    shown = cli.run("jobs", "show", first)

    ((old, new),) = one["retried"]
    assert (old, same["retried"]) == (first, [[first, new]])
    assert rest.out.splitlines()[0].startswith(f"{second} -> r")
    assert rest.out.splitlines()[1:] == ["1 job tried again"]
    assert f"retried as {new}" in shown.out
    assert cli.counts() == {JobState.FAILED: 2, JobState.SCHEDULED: 2}


def test_a_job_is_replayed_and_edited(cli: CommandLine) -> None:
    job_id = failed(cli)

    replayed = cli.run("jobs", "retry", job_id, "--from-step", "add", "--json").json
    edited = cli.run("jobs", "retry", job_id, "--payload", '{"numbers": [2]}', "--json").json

    with cli.ledger() as ledger:
        assert list(ledger.steps(replayed["retried"][0][1])) == []
        assert ledger.get(edited["retried"][0][1]).payload == '{"numbers":[2]}'


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        ((), USAGE, "expected IDs, or options that choose jobs"),
        (("ID", "--queue", "threads"), USAGE, "got both"),
        (("--name", "add", "--from-step", "add"), USAGE, "expected IDs with --from-step"),
        (("--name", "add", "--since", "soon"), USAGE, "expected a duration"),
        (("ID", "--payload", '{"numbers": "many"}'), USAGE, "expected JSON that fits Sum"),
    ],
)
def test_a_retry_that_cannot_be_is_refused(
    cli: CommandLine, words: tuple[str, ...], status: int, expected: str
) -> None:
    job_id = failed(cli)

    answer = cli.run("jobs", "retry", *(job_id if word == "ID" else word for word in words))

    assert (answer.status, answer.out) == (status, "")
    assert expected in answer.err
    assert cli.counts() == {JobState.FAILED: 1}


def test_jobs_that_cannot_be_retried_do_not_stop_the_others(cli: CommandLine) -> None:
    job_id = failed(cli)
    waits = cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json["id"]

    answer = cli.run("jobs", "retry", "unknown", waits, job_id, "--json")
    printed = cli.run("jobs", "retry", "unknown", waits)
    replayed = cli.run("jobs", "retry", job_id, "--from-step", "no", "--json")

    assert answer.status == printed.status == FAILURE
    assert [old for old, _ in answer.json["retried"]] == [job_id]
    refused = [(each["job_id"], each["error"]) for each in answer.json["refused"]]
    assert refused == [("unknown", "JobNotFoundError"), (waits, "JobStateError")]
    assert "JobNotFoundError: expected the id of a job" in printed.err
    assert "JobStateError: expected a failed job" in printed.err
    (refusal,) = replayed.json["refused"]
    assert (replayed.status, refusal["error"]) == (FAILURE, "StepError")
    assert "expected a recorded step" in refusal["reason"]


def test_what_another_job_holds_the_key_of_is_refused_and_the_others_go_on(
    cli: CommandLine,
) -> None:
    cli.write_jobs(JOBS.replace('job(name="add", queue="threads")', _UNIQUE))
    first = failed(cli)
    holder = cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json["id"]
    other = failed(cli, '{"numbers": [2]}')
    key = f"expected a free unique key to retry job {first}, got one that"
    expected = f"FS-032 UniqueKeyHeldError: {key}"

    alone = cli.run("jobs", "retry", first)
    retried = cli.run("jobs", "retry", first, other, "--json")
    every = cli.run("jobs", "retry", "--name", "add", "--yes")
    edited = cli.run("jobs", "retry", first, "--payload", '{"numbers": [3]}', "--json")
    replaced = cli.run("jobs", "retry", first, "--payload", '{"numbers": [1]}')

    for answer in (alone, every, replaced):
        assert (answer.status, answer.out.strip()) == (FAILURE, "0 jobs tried again")
        assert answer.err.startswith(f"{expected} job {holder} holds, which is")
        assert "cancel it" in answer.err
    (refusal,) = retried.json["refused"]
    assert (retried.status, refusal["job_id"], refusal["holder_id"]) == (FAILURE, first, holder)
    assert [old for old, _ in retried.json["retried"]] == [other]
    assert (edited.status, edited.json["refused"]) == (OK, [])


def test_jobs_are_cancelled_and_reported_with_the_outcome(cli: CommandLine) -> None:
    waits = cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json["id"]
    ended = failed(cli)

    answer = cli.run("jobs", "cancel", waits, ended)

    assert answer.out.splitlines() == [f"{waits} cancelled", f"{ended} had ended before"]
    assert cli.run("jobs", "cancel", waits, "--json").json == {
        "cancelled": {waits: "ended"},
        "refused": [],
    }


def test_a_queue_and_a_definition_are_paused_and_go_on(cli: CommandLine) -> None:
    paused = cli.run("queues", "pause", "threads", "--reason", "the bank is closed")
    cli.run("jobs", "pause", "add")
    listed = cli.run("queues", "list", "--json").json
    job_id = cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json["id"]
    shown = cli.run("jobs", "show", job_id, "--json").json
    examined = cli.run(*DOCTOR).out

    assert "queue threads paused by" in paused.out
    assert "the bank is closed" in paused.out
    by_name = {row["queue"]: row["paused"] for row in listed}
    assert by_name["threads"]["reason"] == "the bank is closed"
    assert by_name["children"] is None
    assert (shown["job"]["state"], shown["paused"]["name"]) == ("scheduled", "threads")
    assert "failsoft queues resume threads" in examined
    assert cli.run("queues", "resume", "threads", "--json").json["was_paused"] is True
    assert "was not paused" in cli.run("queues", "resume", "threads").out
    assert "goes on" in cli.run("jobs", "resume", "add").out


def test_the_ledger_is_pruned_as_the_definitions_say(cli: CommandLine) -> None:
    cli.write_jobs(JOBS.replace('job(name="add", queue="threads")', _BRIEFLY))
    first, second = failed(cli), failed(cli)
    again = cli.run("jobs", "retry", first, "--json").json["retried"][0][1]

    counted = cli.run("ledger", "prune", "--dry-run", "--json").json
    there = cli.counts()
    pruned = cli.run("ledger", "prune")

    assert counted == {
        "dry_run": True,
        "succeeded": {},
        "cancelled": {},
        "failed": {"add": 2},
        "groups": None,
        "unknown": [],
    }
    assert there == {JobState.FAILED: 2, JobState.SCHEDULED: 1}
    assert "2 dead letters of add are deleted" in pruned.err
    assert cli.run("jobs", "show", second).status == FAILURE
    # What does a pruned job's work again has everything that it needs.
    with cli.ledger() as ledger:
        assert [step.name for step in ledger.steps(again)] == ["add"]
        assert list(violations(history_of(ledger, again))) == []
    assert f"retries {first}" in cli.run("jobs", "show", again).out


_BRIEFLY = 'job(name="add", queue="threads", keep_failed=Retention(age=timedelta(microseconds=1)))'
_UNIQUE = 'job(name="add", queue="threads", unique=Unique(by=("numbers",)))'
