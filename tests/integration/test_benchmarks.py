"""The benchmark of an engine runs, and says what stood beside what."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.__main__ import MISSED, OK
from bench.dispatching.raw_producers import RAW_PRODUCERS, Site
from bench.dispatching.targets import two_row_commit
from bench.programs import PROGRAMS
from bench.report.table import print_all
from failsoft.ledger import Database
from tests.servers.processes import PATIENCE

ROOT = Path(__file__).parents[2]


def test_the_quick_form_measures_an_engine_beside_its_library() -> None:
    words = ("--engine", "nats", "--quick", "--only", "dispatch", "--only", "many", "--json")

    done = subprocess.run(
        (sys.executable, "bench/lanes/engine.py", *words),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    one, many = json.loads(done.stdout)["found"]
    assert [each["call"] for each in one["calls"]] == ["jetstream.publish", "dispatch_job"]
    assert [each["call"] for each in many["calls"]] == ["publish, side by side", "dispatch_many"]
    assert one["p50"] > 0 < many["p50"]


@pytest.mark.long
def test_every_row_of_the_whole_table_is_measured_and_can_be_shown() -> None:
    # All but the peers, which are installed for it.
    words = [each.name for each in PROGRAMS if each.name != "peers"]

    done = subprocess.run(
        (sys.executable, "-m", "bench", "--quick", "--json", "--only", *words),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
        check=False,
    )

    assert done.returncode in (OK, MISSED), done.stderr
    document = json.loads(done.stdout)
    shown = Console(file=StringIO(), width=200)
    print_all(document, shown)
    assert len(document["rows"]) > 80


def test_the_floor_of_a_dispatch_is_a_commit_of_two_rows(
    empty_ledger_url: str, tmp_path: Path
) -> None:
    kind = empty_ledger_url.partition(":")[0].partition("+")[0]
    # On SQLite it has a file of its own.
    url = f"sqlite:///{tmp_path / 'floor.db'}" if kind == "sqlite" else empty_ledger_url

    with ExitStack() as stack:
        commit = two_row_commit(kind, url, tmp_path, stack)
        commit(0)

    assert counted(url, "bench_one", "bench_two") == [1, 1]


def test_the_floor_of_the_ledgers_engine_is_an_insert(
    empty_ledger_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        producer = RAW_PRODUCERS["ledger"](Site(tmp_path, stack, empty_ledger_url))
        producer.one[1](0)
        producer.many[1]([1, 2])

    assert counted(empty_ledger_url, "raw") == [3]


def counted(url: str, *tables: str) -> list[int]:
    with closing(Database(url)) as database:
        return database.read(
            lambda connection: [
                connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608 - the test's own
                for table in tables
            ]
        )
