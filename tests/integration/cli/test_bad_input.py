"""Whatever is wrong, the command line says so once, ends with the right status, stores nothing."""

import socket

import pytest
from sqlalchemy import text

from failsoft.ledger import Database
from failsoft.ledger.schema.revision import REVISION
from failsoft.worker.exit_codes import CONFIG, FAILURE, TRY_AGAIN, UNAVAILABLE, USAGE
from tests.integration.cli.command_line import JOBS, CommandLine

DECLARED_ONLY = f"""{JOBS}
from failsoft.job_engine import declare_job

print_label = declare_job("print-label", payload=Sum, queue="threads")
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("no-such-job", "{}"), "got 'no-such-job'"),
        (("add", '{"numbers": "many"}'), "expected JSON that fits Sum"),
        (("add", "not JSON"), "expected JSON that fits Sum"),
        (("add", '{"numbers": []}', "--job-id", "a/b"), "got 'a/b'"),
    ],
)
def test_a_dispatch_that_is_wrong_is_refused(
    cli: CommandLine, words: tuple[str, ...], expected: str
) -> None:
    answer = cli.run("dispatch", *words)

    assert (answer.status, answer.out) == (USAGE, "")
    assert expected in answer.err
    assert len(answer.err.splitlines()) == 1
    assert cli.counts() == {}


def test_a_payload_over_the_limit_is_refused(cli: CommandLine) -> None:
    numbers = ",".join(["1234567890"] * 6000)

    answer = cli.run("dispatch", "add", f'{{"numbers": [{numbers}]}}')

    assert answer.status == USAGE
    assert "PayloadTooLargeError" in answer.err
    assert len(answer.err) < 400
    assert cli.counts() == {}


def test_a_worker_for_an_unknown_queue_lists_the_known_ones(cli: CommandLine) -> None:
    answer = cli.run("worker", "dramatiq", "--queue", "thread")

    assert (answer.status, answer.out) == (CONFIG, "")
    assert "children, data-sync, default, scheduled, threads" in answer.err
    assert "got thread" in answer.err


def test_a_job_on_an_unknown_queue_ends_the_worker_with_the_known_ones(cli: CommandLine) -> None:
    cli.write_jobs(JOBS.replace('queue="children"', 'queue="parcels"'))

    answer = cli.run("worker", "rq")

    assert answer.status == CONFIG
    assert "got 'parcels'" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_declared_job_without_a_handler_ends_the_worker_and_is_named(cli: CommandLine) -> None:
    cli.write_jobs(DECLARED_ONLY)

    answer = cli.run("worker", "rq", "--queue", "threads")

    assert answer.status == CONFIG
    assert "got none for print-label" in answer.err


def test_a_declared_job_without_a_handler_can_be_dispatched(cli: CommandLine) -> None:
    cli.write_jobs(DECLARED_ONLY)

    answer = cli.run("dispatch", "print-label", '{"numbers": [1]}', "--json")

    assert answer.status == 0, answer.err
    assert answer.json["state"] == "scheduled"


@pytest.mark.parametrize(
    "words", [("worker", "rq"), ("worker", "maintenance"), ("dispatch", "add", "{}")]
)
def test_a_module_that_does_not_import_is_named_with_its_error(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    cli.write_jobs("import no_such_module_at_all\n")

    answer = cli.run(*words)

    assert answer.status == CONFIG
    assert "got 'shop_jobs', which raises ModuleNotFoundError" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("REDIS_URL", "redi://:hunter2@localhost", "REDIS_URL: expected a URL"),
        ("REDIS_URL", "redis://:hunter2@localhost:port", "expected a Redis URL"),
        ("AMQP_URL", "amqp://guest:hunter2@localhost:port", "expected an AMQP URL"),
        ("FAILSOFT_LEDGER_URL", "mysql://me:hunter2@localhost/db", "FAILSOFT_LEDGER_URL"),
        ("FAILSOFT_ENGINES", "rq,sidekiq", "got sidekiq"),
    ],
)
def test_a_misspelled_url_is_refused_without_showing_its_password(
    cli: CommandLine, variable: str, value: str, expected: str
) -> None:
    answer = cli.run("dispatch", "add", '{"numbers": [1]}', **{variable: value})

    assert answer.status == CONFIG
    assert expected in answer.err
    assert len(answer.err.splitlines()) == 1
    assert "hunter2" not in answer.err
    assert cli.counts() == {}


def test_a_ledger_that_is_away_accepts_nothing(cli: CommandLine) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/none"

    answer = cli.run("dispatch", "add", '{"numbers": [1]}', FAILSOFT_LEDGER_URL=url)

    assert (answer.status, answer.out) == (TRY_AGAIN, "")
    assert "expected the ledger's database to answer" in answer.err
    assert "hunter2" not in answer.err


def test_engines_that_are_away_cost_no_job_but_are_reported(cli: CommandLine) -> None:
    dispatched = cli.run("dispatch", "add", '{"numbers": [1]}', "--json")
    engines = cli.run("engines", "--json")

    assert (dispatched.status, dispatched.json["state"]) == (0, "scheduled")
    assert engines.status == UNAVAILABLE
    assert not any(row["healthy"] for row in engines.json)


DISPATCH = ("dispatch", "add", '{"numbers": [1]}')


@pytest.mark.parametrize("words", [("worker", "rq"), DISPATCH, ("jobs", "list")])
def test_a_ledger_without_tables_names_the_command_to_run(
    bare_cli: CommandLine, words: tuple[str, ...]
) -> None:
    bare_cli.write_jobs()

    answer = bare_cli.run(*words)

    assert answer.status == CONFIG
    assert f"got no file at {bare_cli.folder / 'ledger.db'}; run `failsoft ledger" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("worker", "maintenance"), DISPATCH, ("engines",), ("ledger", "upgrade")]
)
def test_a_ledger_of_a_newer_release_is_left_alone(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    _execute(cli, "UPDATE failsoft_schema SET version_num = '9999'")
    _execute(cli, "UPDATE failsoft_info SET value = '9998' WHERE key = 'minimum_revision'")

    answer = cli.run(*words)

    assert answer.status == CONFIG
    assert "got 9999, which a newer Failsoft made, which needs code of 9998" in answer.err
    assert f"in {cli.folder / 'ledger.db'}; upgrade this installation" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("words", [("worker", "dramatiq"), DISPATCH, ("jobs", "list")])
def test_a_sqlite_ledger_of_another_host_is_refused(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    _execute(cli, "UPDATE failsoft_info SET value = 'elsewhere' WHERE key = 'host'")

    answer = cli.run(*words)

    assert answer.status == CONFIG
    assert "expected the host 'elsewhere' that this SQLite ledger belongs to" in answer.err
    assert repr(socket.gethostname()) in answer.err
    assert "ledger upgrade --adopt" in answer.err


def test_a_sqlite_ledger_of_another_host_can_be_adopted(cli: CommandLine) -> None:
    _execute(cli, "UPDATE failsoft_info SET value = 'elsewhere' WHERE key = 'host'")

    upgraded = cli.run("ledger", "upgrade", "--adopt", "--json")

    assert (upgraded.status, upgraded.json["revision"]) == (0, REVISION)
    assert cli.run("jobs", "list", "--json").json == []


@pytest.mark.parametrize("command", ["show", "steps"])
def test_a_job_that_is_not_there_is_said_to_be_missing(cli: CommandLine, command: str) -> None:
    answer = cli.run("jobs", command, "unknown", "--json")

    assert (answer.status, answer.out) == (FAILURE, "")
    assert "got 'unknown'" in answer.err


def _execute(cli: CommandLine, statement: str) -> None:
    database = Database(cli.ledger_url)
    database.write(lambda connection: connection.execute(text(statement)))
    database.close()
