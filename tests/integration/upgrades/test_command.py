"""What `failsoft ledger upgrade` prints for people and for programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from failsoft.ledger import Database
from failsoft.ledger.schema.revision import REVISION
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.scripts import load
from failsoft.worker.exit_codes import CONFIG, OK
from tests.integration.cli.command_line import DOCTOR, CommandLine
from tests.integration.upgrades.next_release import ADDITIVE, TABLES, write_sources
from tests.servers.fork_server import COMMAND_LINE, ForkServer
from tests.servers.processes import Processes
from tests.unit.worker.configuration.environment import forget_settings


@pytest.fixture(scope="module")
def commands_of_next(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    sources = write_sources(tmp_path_factory.mktemp("next") / "src", "additive")
    with ForkServer(*COMMAND_LINE, sources=sources) as started:
        yield started


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    forget_settings(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def cli(
    clean_environment: Path, processes: Processes, command_server: ForkServer, ledger_url: str
) -> CommandLine:
    return CommandLine(clean_environment, processes, command_server, ledger_url)


@pytest.fixture
def cli_of_next(
    clean_environment: Path, processes: Processes, commands_of_next: ForkServer, ledger_url: str
) -> CommandLine:
    return CommandLine(clean_environment, processes, commands_of_next, ledger_url)


def test_it_says_what_it_did(cli: CommandLine) -> None:
    place = of(cli, "none")

    made = cli.run("ledger", "upgrade")
    again = cli.run("ledger", "upgrade")

    assert made.out == f"ledger {place}: made {TABLES} tables at schema {REVISION}\n"
    assert again.out == f"ledger {place}: nothing to do, at schema {REVISION}\n"
    assert made.err == again.err == ""


def test_newer_code_refuses_the_ledger_and_names_the_command(cli_of_next: CommandLine) -> None:
    place = of(cli_of_next, "this")

    refused = cli_of_next.run("jobs", "list")

    assert refused.status == CONFIG
    expected = f"expected ledger schema 0099, got {REVISION} in {place}; run `failsoft ledger up"
    assert expected in refused.err
    assert cli_of_next.run("ledger", "upgrade").status == OK
    assert cli_of_next.run("jobs", "list").status == OK


def test_it_says_from_where_to_where_and_shows_each_step(cli_of_next: CommandLine) -> None:
    place = of(cli_of_next, "this")

    done = cli_of_next.run("ledger", "upgrade")

    assert done.out == f"ledger {place}: upgraded from schema {REVISION} to 0099\n"
    assert "0099 columns colour, shade: done in " in done.err
    assert "0099 index ix_failsoft_jobs_colour: done in " in done.err


def test_a_program_gets_one_document_and_a_line_for_each_step(cli_of_next: CommandLine) -> None:
    place = of(cli_of_next, "this")

    done = cli_of_next.run("ledger", "upgrade", "--json")

    assert done.json == {
        "ledger": place,
        "before": REVISION,
        "revision": "0099",
        "minimum": load()[-1].finished,
        "tables": 0,
        "adopted_from": None,
    }
    steps = [json.loads(line) for line in done.err.splitlines()]
    assert {each["revision"] for each in steps} == {"0099"}
    assert {"columns colour, shade", "backfill colours"} <= {each["step"] for each in steps}
    assert {"begun", "done"} <= {each["phase"] for each in steps}


def test_a_ledger_of_the_next_release_is_left_and_the_doctor_shows_all_revisions(
    cli: CommandLine,
) -> None:
    place = of(cli, "next")

    left = cli.run("ledger", "upgrade")
    checks = {each["check"]: each for each in cli.run(*DOCTOR).json["checks"]}

    assert left.out == f"ledger {place}: nothing to do, at schema 0099\n"
    assert cli.run("jobs", "list", "--json").json == []
    shown = f"ledger 0099, code {REVISION}, minimum {load()[-1].finished}"
    assert (checks["ledger schema"]["level"], checks["ledger schema"]["found"]) == ("ok", shown)


def test_a_newcomer_in_another_folder_sees_which_file_was_meant(
    cli: CommandLine, tmp_path: Path
) -> None:
    env = {"FAILSOFT_LEDGER_URL": "sqlite:///.failsoft/ledger.db"}

    refused = cli.run("jobs", "list", **env)

    assert refused.status == CONFIG
    assert f"got no file at {tmp_path}/.failsoft/ledger.db; run `failsoft" in refused.err
    # Nothing but the upgrade makes it.
    assert not (tmp_path / ".failsoft").exists()
    made = cli.run("ledger", "upgrade", **env)
    assert made.status == OK
    assert f"ledger {tmp_path}/.failsoft/ledger.db: made {TABLES} tables" in made.out


def of(cli: CommandLine, release: str) -> str:
    """Bring the ledger to a release; return how it is to be named."""
    database = Database(cli.ledger_url)
    if release != "none":
        upgrade(database, migrations={"this": load(), "next": ADDITIVE}[release])
    database.close()
    if database.is_sqlite:
        return str(database.url.database)
    return f"database {database.url.database} on 127.0.0.1:{database.url.port}"
