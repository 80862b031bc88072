"""F47: programs of this release and of the next, each with its own code, on one ledger.

Every program is a process of its own. Those of the next release run on the sources of this one
with the migrations of the next.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from failsoft.ledger.schema.revision import REVISION
from tests.integration.upgrades.next_release import SOURCES, write_sources

pytestmark = pytest.mark.fault("F47")

BEGIN = """
import sys
from contextlib import closing
import failsoft.ledger.schema.revision as where
from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.upgrade.run import upgrade
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import SUCCESS, claimed, new_job, plan

assert where.__file__.startswith(sys.argv[1]), where.__file__
with closing(Database(sys.argv[2])) as database:
"""
WORK = """
    check(database)
    ledger = SqlLedger(database)
    for _ in range(20):
        job, _ = ledger.record_job(new_job(), plan())
        assert ledger.conclude(claimed(ledger, job), SUCCESS) is JobState.SUCCEEDED
"""
UPGRADE = """
    upgrade(database)
"""


@pytest.mark.long
def test_programs_of_this_release_go_on_while_the_next_one_is_rolled_out(
    ledger_url: str, tmp_path: Path
) -> None:
    following = write_sources(tmp_path / "next", "additive")
    assert run(SOURCES, UPGRADE + WORK, ledger_url) == ""

    refusal = f"expected ledger schema 0099, got {REVISION}"
    assert refusal in run(following, WORK, ledger_url)
    assert run(following, UPGRADE, ledger_url) == ""
    for program in (WORK, UPGRADE, WORK):
        assert run(SOURCES, program, ledger_url) == ""
    assert run(following, WORK + UPGRADE, ledger_url) == ""


@pytest.mark.long
def test_a_program_of_this_release_refuses_the_ledger_of_one_that_raises_the_minimum(
    ledger_url: str, tmp_path: Path
) -> None:
    breaking = write_sources(tmp_path / "next", "additive", "breaking")
    assert run(SOURCES, UPGRADE + WORK, ledger_url) == ""

    assert run(breaking, UPGRADE, ledger_url) == ""

    for program in (WORK, UPGRADE):
        assert "needs code of 0100 at least" in run(SOURCES, program, ledger_url)


def run(sources: Path, program: str, url: str) -> str:
    """Run a program with the ledger of some sources; return the error it ends with."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program, str(sources), url],
        env={**os.environ, "PYTHONPATH": str(sources)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == bool(done.stderr), done.stderr
    return done.stderr
