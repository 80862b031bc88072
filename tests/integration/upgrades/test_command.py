"""What `failsoft ledger upgrade` says, and to whom."""

import json
from pathlib import Path

import pytest

from failsoft.ledger import Database
from failsoft.ledger.schema.revision import REVISION, REVISIONS
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.scripts import load
from failsoft.worker.exit_codes import CONFIG, OK
from tests.integration.cli.command_line import CommandLine
from tests.integration.upgrades.next_release import ADDITIVE, TABLES
from tests.servers.fork_server import ForkServer
from tests.servers.processes import Processes
from tests.unit.worker.configuration.environment import forget_settings


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    forget_settings(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def cli(
    clean_environment: Path, processes: Processes, command_server: ForkServer, ledger_url: str
) -> CommandLine:
    return CommandLine(clean_environment, processes, command_server, ledger_url)


def test_it_says_what_it_did(cli: CommandLine) -> None:
    place = of(cli, "none")

    made = cli.run("ledger", "upgrade")
    again = cli.run("ledger", "upgrade")

    assert made.out == f"ledger {place}: made {TABLES} tables at schema {REVISION}\n"
    assert again.out == f"ledger {place}: nothing to do, at schema {REVISION}\n"
    assert made.err == again.err == ""


def test_it_says_from_where_to_where_and_shows_each_step(cli: CommandLine) -> None:
    place = of(cli, REVISIONS[4])

    done = cli.run("ledger", "upgrade")

    assert done.out == f"ledger {place}: upgraded from schema {REVISIONS[4]} to {REVISION}\n"
    assert "0006 columns expires_at: done in " in done.err
    assert "0006 index ix_failsoft_jobs_expiring: done in " in done.err


def test_a_program_gets_one_document_and_a_line_for_each_step(cli: CommandLine) -> None:
    place = of(cli, REVISIONS[4])

    done = cli.run("ledger", "upgrade", "--json")

    assert done.json == {
        "ledger": place,
        "before": REVISIONS[4],
        "revision": REVISION,
        "minimum": load()[-1].minimum,
        "tables": 0,
        "adopted_from": None,
    }
    steps = [json.loads(line) for line in done.err.splitlines()]
    assert {"0006", REVISION} <= {each["revision"] for each in steps}
    assert {"begun", "done"} <= {each["phase"] for each in steps}


def test_a_ledger_of_the_next_release_is_left_and_the_doctor_shows_all_revisions(
    cli: CommandLine,
) -> None:
    place = of(cli, "next")

    left = cli.run("ledger", "upgrade")
    checks = {each["check"]: each for each in cli.run("doctor", "--json").json["checks"]}

    assert left.out == f"ledger {place}: nothing to do, at schema 0099\n"
    assert cli.run("jobs", "list", "--json").json == []
    shown = f"ledger 0099, code {REVISION}, minimum {load()[-1].minimum}"
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


def of(cli: CommandLine, revision: str) -> str:
    """Bring the ledger to a revision; return how it is to be named."""
    migrations = {"next": ADDITIVE, "none": []}.get(revision)
    database = Database(cli.ledger_url)
    if migrations is None:
        migrations = [each for each in load() if each.revision <= revision]
    if migrations:
        upgrade(database, migrations=migrations)
    database.close()
    if database.is_sqlite:
        return str(database.url.database)
    return f"database {database.url.database} on 127.0.0.1:{database.url.port}"
