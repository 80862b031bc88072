"""`failsoft doctor` finds what is wrong, says what to do, and ends with the right status."""

from pathlib import Path

from failsoft.worker.exit_codes import CONFIG, FAILURE, OK, UNAVAILABLE
from tests.integration.cli.command_line import DOCTOR, JOBS, Answer, CommandLine
from tests.servers.valkey import Valkey

ONLY_DECLARED = f"""{JOBS}
from failsoft.job_engine import declare_job

print_label = declare_job("print-label", payload=Sum, queue="children")
"""


def found(answer: Answer, check: str) -> tuple[str, str, str]:
    """The level, the words and the remedy of one check."""
    (one,) = [each for each in answer.json["checks"] if each["check"] == check]
    return one["level"], one["found"], one["remedy"]


def test_all_is_well_with_servers_a_ledger_and_jobs(
    live_cli: CommandLine, valkey: Valkey, second_valkey: Valkey
) -> None:
    for server in (valkey, second_valkey):
        with server.client() as client:
            client.config_set("appendonly", "yes")

    answer = live_cli.run(*DOCTOR)

    # No worker runs, which is worth a warning and nothing more.
    assert (answer.status, answer.json["status"]) == (OK, "warning")
    worrying = {each["check"] for each in answer.json["checks"] if each["level"] != "ok"}
    assert all(check.startswith("workers ") for check in worrying)
    assert found(answer, "handlers threads") == ("ok", "add, gate, fails, fails-twice", "")
    assert found(answer, "ledger durability")[1] == "journal_mode=wal, synchronous=FULL"
    assert found(answer, "rq write")[1] == "wrote what an offer writes"
    assert found(answer, "rq role")[1] == "master"
    assert found(answer, "dramatiq persistence")[1] == "append-only file"
    assert found(answer, "signing key")[1].endswith(" signs and is 0.0 days old")


def test_it_lists_who_works_and_who_does_not(live_cli: CommandLine) -> None:
    live_cli.start("worker", "dramatiq", "--queue", "threads")
    live_cli.wait_for_workers(1)

    answer = live_cli.run(*DOCTOR)

    assert found(answer, "workers dramatiq:threads") == ("ok", "1 live", "")
    none_live = ("warning", "none live", "failsoft worker rq --queue threads")
    assert found(answer, "workers rq:threads") == none_live


def test_it_shows_where_each_setting_came_from_and_hides_what_is_secret(
    cli: CommandLine,
) -> None:
    cli.env |= {
        "REDIS_URL": "redis://me:hunter2@127.0.0.1:1/0",
        "SMTP_PASSWORD": "hunter2",
        "FAILSOFT_WEBHOOK_SECRETS": '{"orders": "hunter2"}',
    }
    dotenv = "AMQP_URL=amqp://me:hunter2@127.0.0.1:2/?password=hunter2\nREDIS_URL=redis://unused\n"
    (cli.folder / ".env").write_text(dotenv)
    del cli.env["AMQP_URL"]

    answer = cli.run(*DOCTOR)
    shown = cli.run("doctor", "--all")

    settings = {each["name"]: each for each in answer.json["settings"]}
    assert settings["redis_url"] == {
        "name": "redis_url",
        "value": "redis://me:***@127.0.0.1:1/0",
        "variable": "REDIS_URL",
        "source": "environment",
    }
    assert (settings["amqp_url"]["variable"], settings["amqp_url"]["source"]) == (
        "AMQP_URL",
        ".env",
    )
    assert settings["smtp_password"]["value"] == "***"
    assert settings["webhook_secrets"]["value"] == "orders=***"
    assert settings["lease"]["source"] == "default"
    assert "hunter2" not in answer.out + answer.err + shown.out + shown.err


def test_wrong_settings_are_each_reported(cli: CommandLine) -> None:
    answer = cli.run(*DOCTOR, USE_RQ="perhaps", FAILSOFT_LEASE="soon")

    assert answer.status == CONFIG
    words = [each["found"] for each in answer.json["checks"]]
    assert words == [
        "USE_RQ: expected true or false, got 'perhaps'",
        "FAILSOFT_LEASE: expected a duration like 500ms, 25s, 10m or 1h30m, got 'soon'",
    ]


def test_servers_that_are_away_are_reported_with_the_rest(cli: CommandLine) -> None:
    answer = cli.run(*DOCTOR)

    assert answer.status == UNAVAILABLE
    assert found(answer, "rq")[0] == "failure"
    assert found(answer, "rq")[1].startswith("redis://127.0.0.1:1/0 was not reached: ")
    assert found(answer, "dramatiq")[2] == "start it, or correct AMQP_URL"
    assert found(answer, "ledger schema")[0] == "ok"


def test_a_redis_that_is_switched_off_is_not_missed(
    cli: CommandLine, second_valkey: Valkey
) -> None:
    answer = cli.run(*DOCTOR, USE_RQ="false", AMQP_URL=second_valkey.url)

    assert answer.status == OK, answer.out
    assert found(answer, "rq") == ("ok", "switched off by USE_RQ", "")


def test_a_ledger_that_is_missing_is_reported_and_not_made(bare_cli: CommandLine) -> None:
    answer = bare_cli.run(*DOCTOR)

    level, _, remedy = found(answer, "ledger")
    assert (level, remedy) == ("failure", "run `failsoft ledger upgrade`")
    assert not (bare_cli.folder / "ledger.db").exists()
    assert not Path(bare_cli.folder / ".failsoft").exists()


def test_a_module_that_does_not_import_is_reported_with_the_rest(cli: CommandLine) -> None:
    cli.write_jobs("import no_such_module_at_all\n")

    answer = cli.run(*DOCTOR)

    assert answer.status == CONFIG
    assert "ModuleNotFoundError" in found(answer, "jobs")[1]
    assert found(answer, "signing key")[0] == "ok"


def test_a_job_without_a_handler_is_reported_by_its_queue(cli: CommandLine) -> None:
    cli.write_jobs(ONLY_DECLARED)

    answer = cli.run(*DOCTOR)

    assert found(answer, "handlers threads")[0] == "ok"
    level, words, _ = found(answer, "handlers children")
    assert (level, "got none for print-label" in words) == ("failure", True)


def test_a_module_that_takes_too_long_is_left_alone(cli: CommandLine) -> None:
    cli.write_jobs("import threading\nthreading.Event().wait(60)\n")

    answer = cli.run("doctor", "--json", "--timeout", "3s")

    level, words, _ = found(answer, "jobs")
    assert (level, words) == (
        "warning",
        "shop_jobs was not imported within 3s; jobs not checked",
    )
    assert found(answer, "ledger schema")[0] == "ok"


def test_jobs_that_wait_where_no_worker_looks_are_reported(cli: CommandLine) -> None:
    cli.run("dispatch", "add", '{"numbers": [1]}')

    answer = cli.run(*DOCTOR, FAILSOFT_JOBS="")

    assert found(answer, "queues")[1] == "jobs wait in threads, not declared here"
    assert found(answer, "jobs")[0] == "warning"


def test_people_get_a_table_that_fits_and_says_what_to_do(live_cli: CommandLine) -> None:
    ledger = live_cli.folder / "ledger.db"
    ledger.chmod(0o644)

    answer = live_cli.run("doctor", "--timeout", "30s", COLUMNS="80")

    assert answer.status == OK, answer.out
    assert max(len(line) for line in answer.out.splitlines()) <= 80
    assert f"→chmod600{ledger}" in "".join(answer.out.split())
    assert "REDIS_URL (environment)" in answer.out
    assert "0 failure" in answer.out


def test_a_wrong_argument_is_refused(bare_cli: CommandLine) -> None:
    answer = bare_cli.run("doctor", "--timeout", "soon")

    assert answer.status == 2
    assert "expected a duration like 500ms, 25s, 10m or 1h30m, got 'soon'" in answer.err


def test_a_missing_key_fails(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        ledger.database.write(lambda c: c.exec_driver_sql("DELETE FROM failsoft_signing_keys"))

    answer = cli.run(*DOCTOR, USE_RQ="false")

    assert found(answer, "signing key")[0] == "failure"
    assert answer.status in (FAILURE, UNAVAILABLE)
