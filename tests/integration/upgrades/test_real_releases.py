"""F47: the release before, from the repository's history, on the ledger of this one.

The code of another commit is taken out of the history and run beside this one, with the packages
that are installed. A history that does not go back as far fails the test, with what to do.
"""

import io
import os
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.ledger import Database, check
from failsoft.ledger.schema.revision import REVISION
from failsoft.ledger.upgrade.run import upgrade
from tests.integration.upgrades.next_release import ADDITIVE

pytestmark = [pytest.mark.fault("F47"), pytest.mark.long]

ROOT = Path(__file__).parents[3]
#: The code before is the oldest that reads the minimum of a ledger: the commit that brought this.
#: After a revision that raises the minimum it is the commit that brought that one.
BROUGHT = "packages/ledger/src/failsoft/ledger/upgrade/online.py"
SHALLOW = "expected the whole history, got a shallow clone or none; run: git fetch --unshallow"

WORK = """
import sys
from contextlib import closing
from failsoft.ledger import Database, SqlLedger, check
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import SUCCESS, claimed, new_job, plan

with closing(Database(sys.argv[1])) as database:
    check(database)
    ledger = SqlLedger(database)
    for _ in range(20):
        job, _ = ledger.record_job(new_job(), plan())
        assert ledger.conclude(claimed(ledger, job), SUCCESS) is JobState.SUCCEEDED
"""
UPGRADE = """
import sys
from contextlib import closing
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade

with closing(Database(sys.argv[1])) as database:
    upgrade(database)
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the release before."""
    assert git("rev-parse", "--is-shallow-repository").strip() == b"false", SHALLOW
    *_, first = git("log", "--format=%H", "--diff-filter=A", "--", BROUGHT).decode().split()
    packed = git("archive", first)
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_the_release_before_makes_a_ledger_and_goes_on_when_it_is_upgraded(
    ledger_url: str, before: Path
) -> None:
    run(before, UPGRADE, ledger_url)
    run(before, WORK, ledger_url)
    with closing(Database(ledger_url)) as database:
        done = upgrade(database)
        assert done.revision == REVISION
        check(database)

        run(before, WORK, ledger_url)
        run(before, UPGRADE, ledger_url)
        run(ROOT, WORK, ledger_url)
        upgrade(database, migrations=ADDITIVE)
        run(before, WORK, ledger_url)


def git(*words: str) -> bytes:
    """Ask the repository."""
    done = subprocess.run(["git", *words], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 0, f"{SHALLOW}: {done.stderr.decode()}"
    return done.stdout


def run(folder: Path, program: str, url: str) -> None:
    """Run a program with the sources of a folder."""
    sources = sorted(folder.glob("packages/*/src")) + sorted(folder.glob("apps/*/src"))
    # Before what is installed: the sources of a checkout come by the path, too.
    head = f"import sys; sys.path[:0] = {[str(each) for each in sources]!r}\n"
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", head + WHERE.format(folder=str(folder)) + program, url],
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


WHERE = """
import failsoft.ledger.schema.revision as where
assert where.__file__.startswith({folder!r}), where.__file__
"""
