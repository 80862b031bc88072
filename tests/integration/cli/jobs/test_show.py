"""`jobs show` prints the most important facts first, and masks secrets."""

from datetime import timedelta

from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import RETRY
from failsoft.testing.ledger_suite.fixtures import (
    LONG,
    SUCCESS,
    claimed,
    offered,
    reoffered,
    waiting,
)
from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.servers.processes import wait_until

SECRETS = """{"card": {"api_token": "hunter2", "nested": ["a"]}, "passwords": ["hunter2"],
"url": "amqp://shop:hunter2@rabbit/", "text": "plain"}"""


def tried_twice(cli: CommandLine) -> str:
    with cli.ledger() as ledger:
        job = offered(ledger, tags=("red", "big"), idempotency_key="k1", payload='{"n": 1}')
        for number in (1, 2):
            error = ErrorRecord("shop.errors.GatewayError", f"ref 471{number}", f"line {number}")
            claim = claimed(ledger, reoffered(ledger, job.id))
            ledger.conclude(claim, Conclusion(RETRY, error=error, delay=LONG, reason=error.type))
    return job.id


def test_what_is_looked_for_first_comes_first(cli: CommandLine) -> None:
    job_id = tried_twice(cli)

    shown = cli.run("jobs", "show", job_id, COLUMNS="80").out

    facts = [line for line in shown.splitlines()[1:] if line[:1].islower()]
    assert shown.splitlines()[0] == f"send_welcome {job_id} scheduled"
    assert [fact.split()[0] for fact in facts[:6]] == [
        "why",
        "next",
        "payload",
        "error",
        "created",
        "began",
    ]
    assert "waits for another attempt after 2 errors: GatewayError: ref 4712" in facts[0]
    assert "(in 59 min)" in facts[1] or "(in 1 h)" in facts[1] or "min)" in facts[1]
    assert facts[2].split(maxsplit=1)[1] == '{"n": 1}'
    assert "tags      red, big" in shown
    assert "ref 4711" in shown
    assert "shop.errors" not in shown.partition("Traceback")[0]


def test_programs_get_the_error_of_every_attempt(cli: CommandLine) -> None:
    shown = cli.run("jobs", "show", tried_twice(cli), "--json").json

    errors = [attempt["error"] for attempt in shown["attempts"]]
    assert [error["message"] for error in errors] == ["ref 4711", "ref 4712"]
    assert [error["traceback"] for error in errors] == ["line 1", "line 2"]
    assert shown["job"]["payload"] == {"n": 1}
    assert shown["next_try_at"] == shown["job"]["run_at"]
    assert "waits for another attempt" in shown["why"]
    assert not {"revision", "payload_sha"} & shown["job"].keys()


def test_secrets_of_payloads_and_results_are_masked(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        claim = claimed(ledger, offered(ledger, payload=SECRETS))
        ledger.conclude(claim, Conclusion(SUCCESS.transition, result=SECRETS))
        waits = waiting(ledger, payload=SECRETS).id

    for words in (("show", claim.job_id), ("show", claim.job_id, "--json"), ("list", "--json")):
        answer = cli.run("jobs", *words)
        assert (answer.status, "hunter2" in answer.out) == (0, False)
    payload = cli.run("jobs", "show", waits, "--json").json["job"]["payload"]
    assert payload == {
        "card": {"api_token": "***", "nested": ["a"]},
        "passwords": ["***"],
        "url": "amqp://shop:***@rabbit/",
        "text": "plain",
    }


def test_errors_of_attempts_come_from_workers_of_both_kinds(live_cli: CommandLine) -> None:
    live_cli.start("worker", "rq", "--queue", "threads")
    live_cli.wait_for_workers(1)
    job_id = live_cli.run("dispatch", "fails-twice", '{"numbers": [1]}', "--json").json["id"]
    wait_until(lambda: live_cli.transitions(job_id)[-1] == "fail", PATIENCE, "its end")

    shown = live_cli.run("jobs", "show", job_id, "--json").json
    printed = live_cli.run("jobs", "show", job_id, COLUMNS="80").out

    errors = [attempt["error"] for attempt in shown["attempts"]]
    assert [error["type"] for error in errors] == ["ValueError", "ValueError"]
    assert all("give_up" in error["traceback"] for error in errors)
    assert "why       no attempt left" in printed
    assert "give_up" in printed
    assert max(map(len, printed.partition("Traceback")[0].splitlines()[6:])) <= 80


def test_a_parked_job_is_on_no_engine_and_says_why(cli: CommandLine) -> None:
    printed = cli.run("dispatch", "add", '{"numbers": [1]}').out
    later = cli.run("dispatch", "add", '{"numbers": [1]}', "--delay", "1h").out
    shown = cli.run("jobs", "show", printed.split()[0]).out

    assert "scheduled: parked, no engine took it" in printed
    assert "scheduled, due 2" in later
    assert shown.splitlines()[0].endswith("scheduled")
    assert "why       parked, no engine took it: " in shown


def test_every_option_of_a_dispatch_is_there(cli: CommandLine) -> None:
    words = ("--delay", "2h", "--priority", "7", "--tag", "a", "--tag", "b", "--expires", "3h")
    words += ("--queue", "children", "--key", "k", "--key-for", "30m", "--engine", "rq")
    words += ("--unique", '{"by": ["numbers"], "period": "1h"}', "--concurrency", '{"limit": 2}')

    made = cli.run("dispatch", "add", '{"numbers": [1]}', *words, "--json").json
    at = cli.run(
        "dispatch", "add", '{"numbers": [1]}', "--at", "2999-01-01T00:00+00:00", "--json"
    ).json
    wrong = [
        cli.run("dispatch", "add", '{"numbers": [1]}', *each)
        for each in (("--delay", "soon"), ("--unique", "[]"), ("--queue", "childen"), ("--at", "x"))
    ]

    with cli.ledger() as ledger:
        job, other = ledger.get(made["id"]), ledger.get(at["id"])
    assert (job.queue, job.priority, job.tags, job.engines) == ("children", 7, ("a", "b"), ("rq",))
    assert job.run_at is not None
    assert job.expires_at is not None
    assert abs(job.expires_at - job.run_at - timedelta(hours=1)) < timedelta(seconds=1)
    assert (job.unique_key is not None, bool(job.limits)) == (True, True)
    assert str(other.run_at) == "2999-01-01 00:00:00+00:00"
    assert [answer.status for answer in wrong] == [2, 2, 2, 2]
    assert "did you mean 'children'?" in wrong[2].err
