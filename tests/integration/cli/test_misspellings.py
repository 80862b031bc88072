"""What is misspelled is refused, with what was meant."""

import pytest

from failsoft.testing.ledger_suite.fixtures import SUCCESS, started
from failsoft.worker.exit_codes import FAILURE, OK
from tests.integration.cli.command_line import DOCTOR, JOBS, CommandLine


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("queues", "pause", "thread"), "did you mean 'threads'?"),
        (("queues", "resume", "defaultt"), "did you mean 'default'?"),
        (("jobs", "pause", "ad"), "did you mean 'add'?"),
        (("jobs", "resume", "adds"), "did you mean 'add'?"),
        (("dispatch", "fials", "{}"), "did you mean 'fails'?"),
        (("schedules", "pause", "prune_leger"), "expected the name of a schedule"),
        (("worker", "rq", "--queue", "thread"), "did you mean 'threads'?"),
    ],
)
def test_a_misspelled_name_is_refused_and_changes_nothing(
    cli: CommandLine, words: tuple[str, ...], meant: str
) -> None:
    answer = cli.run(*words)

    assert answer.status != OK
    assert meant in answer.err
    with cli.ledger() as ledger:
        assert list(ledger.pauses()) == []


def test_a_name_may_be_paused_that_only_the_ledger_has_or_that_is_not_there_yet(
    cli: CommandLine,
) -> None:
    with cli.ledger() as ledger:
        started(ledger)

    known = cli.run("jobs", "pause", "send_welcome")
    ahead = cli.run("jobs", "pause", "to_be_deployed", "--anyway")
    back = cli.run("jobs", "resume", "to_be_deployed")

    assert (known.status, ahead.status, back.status) == (OK, OK, OK)
    assert "goes on" in back.out


def test_an_event_for_a_job_that_can_receive_none_is_refused(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        claim = started(ledger)
        ledger.conclude(claim, SUCCESS)

    ended = cli.run("events", "send", "go", "--job", claim.job_id)
    unknown = cli.run("events", "send", "go", "--job", "01a21e")
    by_key = cli.run("events", "send", "go", "--key", "building-7", "--json")

    assert (ended.status, unknown.status, by_key.status) == (FAILURE, FAILURE, OK)
    assert "expected a job that has not ended" in ended.err
    assert "expected the id of a job" in unknown.err


def test_a_list_that_finds_nothing_says_what_is_misspelled(cli: CommandLine) -> None:
    answer = cli.run("jobs", "list", "--name", "ad", "--queue", "threads")

    assert (answer.status, answer.out.strip()) == (OK, "0 jobs")
    assert "no name 'ad' is known; did you mean 'add'?" in answer.err


def test_a_module_that_only_imports_its_jobs_has_them(cli: CommandLine) -> None:
    package = cli.folder / "orders"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "jobs.py").write_text(JOBS)
    cli.write_jobs("import orders.jobs", "site_jobs")

    answer = cli.run("dispatch", "add", '{"numbers": [1]}', "--json")
    found = {each["check"]: each for each in cli.run(*DOCTOR).json["checks"]}

    assert answer.status == OK
    assert found["jobs"]["level"] == "ok"


def test_a_module_that_adds_no_job_is_named(cli: CommandLine) -> None:
    cli.write_jobs()
    (cli.folder / "nothing_here.py").write_text("import json\n")
    cli.env["FAILSOFT_JOBS"] = "shop_jobs,nothing_here"

    found = {each["check"]: each for each in cli.run(*DOCTOR).json["checks"]}

    assert found["jobs"]["level"] == "warning"
    assert "nothing_here" in found["jobs"]["found"]
    assert "shop_jobs" not in found["jobs"]["found"].partition("nothing_here")[2]
