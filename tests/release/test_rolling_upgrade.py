"""Workers of the build before go on while the ledger is upgraded, and hand over to the new ones."""

import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest

from tests.integration.outside.test_outside_engine import JOBS
from tests.integration.test_distribution import ROOT, environment_with, uv
from tests.release.pythons import printed
from tests.servers.processes import PATIENCE, Process, Processes, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

MIGRATIONS = "packages/ledger/src/failsoft/ledger/migrations/versions"


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def before() -> str:
    """Return the build before: the last release or, where there is none, the last other schema."""
    named = os.environ.get("RELEASE_BEFORE")
    if named:
        return named
    tags = (
        git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").decode().split()
    )
    if tags:
        return tags[0]
    changed = git("log", "-1", "--diff-filter=A", "--format=%H", "--", MIGRATIONS).decode().strip()
    return f"{changed}^"


@pytest.fixture
def old_distributions(tmp_path: Path) -> Path:
    """The wheels of the build before."""
    source = tmp_path / "before"
    with tarfile.open(fileobj=BytesIO(git("archive", before()))) as archive:
        # Without a filter, which Python 3.11.3 does not know: it is this repository's own.
        archive.extractall(source)  # noqa: S202
    folder = tmp_path / "before-dist"
    uv("build", "--all-packages", "--wheel", "--quiet", "--out-dir", str(folder), cwd=source)
    return folder


class Installed:
    """A build, in an environment of its own, at a folder that both share."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._command = python.parent / "failsoft"
        self._folder = folder
        self._env: Mapping[str, str] = {
            "FAILSOFT_ENGINES": "ledger",
            "FAILSOFT_JOBS": "shared_jobs",
            "FAILSOFT_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
            "PYTHONPATH": str(folder),
        }

    def run(self, *words: str) -> str:
        return printed(self._command, *words, cwd=self._folder, env=dict(self._env))

    def dispatch(self) -> str:
        done = self.run("dispatch", "add", '{"numbers": [40, 2]}', "--json")
        return str(json.loads(done)["id"])

    def state(self, job_id: str) -> str:
        return str(json.loads(self.run("jobs", "show", job_id, "--json"))["job"]["state"])

    def work(self, processes: Processes) -> Process:
        command = f"cd {self._folder} && exec {self._command} worker ledger --queue default"
        worker = processes.start("sh", "-c", command, env=self._env)
        wait_until(lambda: "begins to serve" in worker.output, PATIENCE, "the worker serves")
        return worker


def expect_done(build: Installed, *jobs: str) -> None:
    for each in jobs:
        wait_until(lambda job=each: build.state(job) == "succeeded", PATIENCE, f"{each} succeeds")


def test_old_and_new_work_side_by_side_on_the_upgraded_ledger(
    distributions: Path, old_distributions: Path, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "shared_jobs.py").write_text(JOBS)
    builds = {
        name: Installed(environment_with("failsoft", links, tmp_path / name), tmp_path)
        for name, links in (("old", old_distributions), ("new", distributions))
    }
    old, new = builds["old"], builds["new"]

    old.run("ledger", "upgrade")
    worker = old.work(processes)
    first = old.dispatch()
    expect_done(old, first)
    new.run("ledger", "upgrade")
    # The old worker goes on with what either dispatches, and begins anew on the new tables.
    expect_done(new, old.dispatch(), new.dispatch())
    assert worker.terminate() == 0, worker.tail
    worker = old.work(processes)
    expect_done(new, old.dispatch(), new.dispatch())
    successor = new.work(processes)
    assert worker.terminate() == 0, worker.tail
    last = old.dispatch()
    expect_done(new, last, new.dispatch())

    assert successor.is_running, successor.tail
    new.run("ledger", "upgrade", "--finish")
    expect_done(new, new.dispatch())
    assert "every promise was kept" in new.run("ledger", "verify")
