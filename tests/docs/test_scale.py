"""The commands, the SQL and the program of the page about growing the ledger, run as printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.docs.page import blocks_of
from tests.model.ledgers import fill
from tests.servers.postgresql.postgres_pair import PostgresPair

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = HOW_TO / "scale.md"
TEXT = PAGE.read_text()
STANDBY = "read_by_commands"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def commands(about: str) -> str:
    """The commands of the blocks in which something stands, as a script."""
    found = [block for block in blocks("console") if about in block]
    assert found, about
    return "\n".join(["set -e", *re.findall(r"^\$ (.*)$", "".join(found), re.MULTILINE)])


def run(script: str, folder: Path, env: Mapping[str, str]) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {"FAILSOFT_ENGINES": "memory", "FAILSOFT_LEDGER_URL": f"sqlite:///{folder}/ledger.db"}
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **given, **env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_every_command_of_the_page_is_run_here() -> None:
    tried = ("ledger copy", "ledger reopen", "STANDBY", "FAILSOFT_LEDGERS", "--ledger")

    assert [block for block in blocks("console") if not any(each in block for each in tried)] == []


@pytest.mark.long
def test_a_ledger_is_copied_and_taken_back(tmp_path: Path, postgres_url: str) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/ledger.db")) as database:
        upgrade(database)
        fill(database, 50)

    script = f"{commands('ledger copy')}\n{commands('ledger reopen')}"
    said = run(script, tmp_path, {"NEW_LEDGER_URL": postgres_url})

    assert "copied 50 jobs" in said
    assert said.count("every promise was kept") == 1
    assert "takes writes again" in said


def test_the_tables_are_tuned(tmp_path: Path, postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        upgrade(database)

    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in "".join(blocks("sql")).split(";"):
            if statement.strip():
                connection.execute(statement.encode())
        options = "SELECT reloptions FROM pg_class WHERE relname = 'failsoft_jobs'"
        assert (
            "autovacuum_vacuum_scale_factor=0.01"
            in (connection.execute(options).fetchone() or ([],))[0]
        )


@pytest.fixture
def standby_url(postgres_pair: PostgresPair) -> Iterator[str]:
    postgres_pair.primary.create_database(STANDBY)
    with closing(Database(postgres_pair.primary.url(STANDBY))) as database:
        upgrade(database)
        fill(database, 50)
    postgres_pair.primary.wait_for(postgres_pair.replica)
    yield postgres_pair.replica.url(STANDBY)
    postgres_pair.primary.drop_database(STANDBY)


@pytest.mark.long
def test_a_standby_is_read(tmp_path: Path, standby_url: str) -> None:
    said = run(commands("STANDBY"), tmp_path, {"STANDBY_LEDGER_URL": standby_url})

    assert "50 jobs" in said
    assert "every promise was kept" in said


@pytest.fixture
def two_ledgers(tmp_path: Path) -> dict[str, str]:
    return {f"LEDGER_{name.upper()}": f"sqlite:///{tmp_path}/{name}.db" for name in "ab"}


@pytest.mark.long
def test_jobs_are_divided_among_two_ledgers(tmp_path: Path, two_ledgers: dict[str, str]) -> None:
    made = commands("FAILSOFT_LEDGERS")
    [program] = blocks_of(PAGE)
    code = tmp_path / "program.py"
    code.write_text(program.code)

    printed = run(f"{{\n{made}\n}} >/dev/null\n{sys.executable} program.py", tmp_path, two_ledgers)
    said = run(f"{made}\n{commands('ledger a jobs list')}", tmp_path, two_ledgers)

    assert printed == program.printed
    assert "every promise was kept" in said


def test_the_index_names_every_page() -> None:
    named = re.findall(r"\(([\w-]+\.md)\)", (HOW_TO / "README.md").read_text())

    assert set(named) == {page.name for page in HOW_TO.glob("*.md")} - {"README.md"}
