"""`failsoft dispatch`, `jobs`, `engines` and `ledger` show people tables and programs JSON."""

import os
import subprocess

import pytest
from click import Context

from failsoft.ledger.schema.revision import REVISION
from failsoft.testing.ledger_suite.fixtures import waiting
from failsoft.worker.cli import COMMANDS, main
from failsoft.worker.exit_codes import FAILURE, TRY_AGAIN
from tests.integration.cli.command_line import FAILSOFT, PATIENCE, CommandLine
from tests.servers.processes import Process, wait_until

LONG_ID = "i" * 64


@pytest.fixture
def worker(live_cli: CommandLine) -> Process:
    started = live_cli.start("worker", "rq", "--queue", "threads")
    live_cli.wait_for_workers(1)
    return started


def test_every_command_that_shows_something_speaks_json(
    live_cli: CommandLine, worker: Process
) -> None:
    done = live_cli.run("dispatch", "add", '{"numbers": [1, 2]}', "--wait", "--json").json
    listed = live_cli.run("jobs", "list", "--state", "succeeded", "--name", "add", "--json").json
    shown = live_cli.run("jobs", "show", done["id"], "--json").json
    steps = live_cli.run("jobs", "steps", done["id"], "--json").json
    engines = live_cli.run("engines", "--json").json

    assert (done["state"], done["engine"], done["created"]) == ("offered", "rq", True)
    assert [each["id"] for each in listed] == [done["id"]]
    assert (shown["job"]["payload"], shown["job"]["result"]) == ({"numbers": [1, 2]}, 3)
    tries = [(each["engine"], each["outcome"]) for each in shown["tries"]]
    assert tries == [("dramatiq", "skipped"), ("rq", "accepted")]
    assert [event["kind"] for event in shown["events"]] == ["dispatch", "claim", "succeed"]
    assert [(step["name"], step["result"]) for step in steps] == [("add", 3)]
    served = {(row["engine"], row["queue"]): row for row in engines}
    assert served["rq", "threads"] | {"backlog": 0} == {
        "engine": "rq",
        "queue": "threads",
        "workers": 1,
        "healthy": True,
        "detail": "wrote what an offer writes",
        "backlog": 0,
        "is_refused": False,
        "disabled": None,
    }
    assert served["dramatiq", "threads"]["workers"] == 0


def test_a_result_that_never_comes_says_to_try_again_or_what_failed(
    live_cli: CommandLine, worker: Process
) -> None:
    failed = live_cli.run("dispatch", "fails", '{"numbers": []}', "--wait", "--json")

    assert (failed.status, failed.out) == (FAILURE, "")
    assert "failed with ValueError: these numbers do not add up" in failed.err
    assert "Traceback" not in failed.err


def test_a_result_that_is_late_says_to_try_again(cli: CommandLine) -> None:
    waiting = cli.run("dispatch", "add", '{"numbers": []}', "--wait", "--timeout", "200ms")

    assert waiting.status == TRY_AGAIN
    assert "ask again later" in waiting.err


def test_a_key_that_was_used_leads_to_the_same_job(cli: CommandLine) -> None:
    first, second = (
        cli.run("dispatch", "add", '{"numbers": [1]}', "--key", "once", "--json").json
        for _ in range(2)
    )

    assert first["id"] == second["id"]
    assert (first["created"], second["created"]) == (True, False)


@pytest.mark.parametrize(("columns", "shows_queue"), [("80", False), ("200", True)])
def test_a_list_fits_the_terminal_and_cuts_no_id(
    cli: CommandLine, columns: str, shows_queue: bool
) -> None:
    job_id = cli.run("dispatch", "add-in-child", '{"numbers": [1]}', "--json").json["id"]

    answer = cli.run("jobs", "list", COLUMNS=columns)

    lines = [line.rstrip() for line in answer.out.splitlines()]
    assert answer.status == 0
    assert max(map(len, lines)) <= int(columns)
    (line,) = [line for line in lines if job_id in line]
    assert "add-in-child" in line
    assert "scheduled" in line
    assert ("children" in line) is shows_queue


def test_the_longest_id_stays_in_one_piece_even_if_the_list_is_too_wide(cli: CommandLine) -> None:
    cli.run("dispatch", "add", '{"numbers": [1]}', "--job-id", LONG_ID)

    answer = cli.run("jobs", "list", COLUMNS="80")

    assert LONG_ID in answer.out


def test_a_job_is_shown_to_people_with_its_whole_story(
    live_cli: CommandLine, worker: Process
) -> None:
    done = live_cli.run("dispatch", "add", '{"numbers": [1, 2]}', "--wait", "--json").json
    wait_until(lambda: live_cli.transitions(done["id"])[-1] == "succeed", PATIENCE, "its end")

    shown = live_cli.run("jobs", "show", done["id"], COLUMNS="80").out
    steps = live_cli.run("jobs", "steps", done["id"], COLUMNS="80").out

    for word in ("succeeded on rq", "Dispatch", "accepted", "Attempts", "Events", "claim"):
        assert word in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "1 step" in steps


def test_an_upgraded_ledger_is_upgraded_again_without_harm(bare_cli: CommandLine) -> None:
    answers = [bare_cli.run("ledger", "upgrade", "--json") for _ in range(2)]

    assert [answer.json["revision"] for answer in answers] == [REVISION, REVISION]


def test_help_and_completion_know_every_command(bare_cli: CommandLine) -> None:
    help_text = bare_cli.run("--help").out
    completed = bare_cli.run(
        _FAILSOFT_COMPLETE="bash_complete", COMP_WORDS="failsoft wor", COMP_CWORD="1"
    )

    texts = {name: " ".join(text.split()) for name, text in COMMANDS.items()}
    assert all(f"\n  {name} " in help_text for name in texts)
    for name, text in texts.items():
        own = main.get_command(Context(main), name)
        assert own is not None
        assert own.get_short_help_str(200).removesuffix(".") == text.removesuffix(".")
    assert completed.out.split() == ["plain,worker"]


def test_colours_are_for_terminals_only(cli: CommandLine) -> None:
    cli.run("dispatch", "add", '{"numbers": [1]}')

    assert "\x1b[" not in cli.run("jobs", "list").out
    assert "\x1b[" in cli.run("jobs", "list", FORCE_COLOR="1").out


@pytest.mark.parametrize("terminal", ["dumb", ""])
def test_every_terminal_is_shown_something(cli: CommandLine, terminal: str) -> None:
    for words in (("jobs", "list"), ("doctor",), ("--help",)):
        answer = cli.run(*words, TERM=terminal)

        assert ("Traceback" in answer.err, bool(answer.out)) == (False, True)


def test_a_terminal_that_has_no_letters_but_ascii_is_shown_them_escaped(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        waiting(ledger, id="a-job", payload='{"n": "\u2192 Gr\u00f6\u00dfe"}')

    # A process of its own: Python reads the variable when it starts.
    env = {**os.environ, **cli.env, "PYTHONIOENCODING": "ascii"}
    for words in (("jobs", "show", "a-job"), ("doctor",)):
        command = [FAILSOFT, *words]
        done = subprocess.run(command, env=env, cwd=cli.folder, capture_output=True, check=False)
        assert b"Traceback" not in done.stderr
        assert done.stdout.isascii()
        assert "doctor" in words or b"\\u2192" in done.stdout
