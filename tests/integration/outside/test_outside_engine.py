"""An engine from outside: installed from wheels, it is one like any other, and nothing is changed.

The engine is the one of examples/, built as its author would; the core is the wheels alone.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from failsoft.worker.exit_codes import CONFIG, OK
from tests.integration.test_distribution import ROOT, environment_with, uv, wheels
from tests.servers.processes import PATIENCE, Processes, wait_until

__all__ = ["wheels"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

JOBS = """
from pydantic import BaseModel

from failsoft.api import JobContext, job


class Sum(BaseModel):
    numbers: list[int]


@job(queue="default")
def add(payload: Sum, ctx: JobContext) -> int:
    return ctx.run("add", sum, payload.numbers)
"""


class Installation:
    """An environment with wheels alone, and a folder of its user's."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.command = python.parent / "failsoft"

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.command), *words],
            cwd=self.folder,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self, *words: str, **env: str) -> Any:
        ran = self.run(*words, "--json", **env)
        assert ran.stdout, ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])

    def environment(self, **env: str) -> Mapping[str, str]:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ours = {"FAILSOFT_ENGINES": "file", "FAILSOFT_JOBS": "shop", "TMPDIR": str(self.folder)}
        return {**clean, **ours, **env}


def build(project: Path, wheels: Path) -> None:
    uv("build", "--wheel", "--quiet", "--out-dir", str(wheels), str(project))


def install(python: Path, wheels: Path, *requirements: str) -> None:
    found = ("--quiet", "--python", str(python), "--find-links", str(wheels), *requirements)
    uv("pip", "install", *found)


@pytest.fixture(scope="module")
def installation(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    build(ROOT / "examples" / "failsoft_engine_file", wheels)
    folder = tmp_path_factory.mktemp("outside")
    python = environment_with("failsoft[demo]", wheels, folder / "environment")
    install(python, wheels, "failsoft-engine-file")
    (folder / "user").mkdir()
    (folder / "user" / "shop.py").write_text(JOBS)
    return Installation(python, folder / "user")


def levels(findings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {each["check"]: each["level"] for each in findings}


def test_the_engine_is_one_of_the_engines(installation: Installation) -> None:
    (found,) = [each for each in installation.read("engines", "list") if each["engine"] == "file"]

    assert found == {
        "engine": "file",
        "kind": "file",
        "place": 1,
        "disabled": None,
        "distribution": "failsoft-engine-file 0.1.0",
        "title": "a folder of files",
    }


def test_its_promises_need_the_distribution_for_tests(installation: Installation) -> None:
    ran = installation.run("engines", "test", "file")

    assert ran.returncode == CONFIG
    assert "pip install 'failsoft[testing]'" in ran.stderr


def test_it_is_prepared_examined_and_served(
    installation: Installation, processes: Processes
) -> None:
    assert installation.run("ledger", "upgrade").returncode == OK

    before = levels(installation.read("doctor")["checks"])
    prepared = [installation.read("engines", "prepare", "file") for _ in range(2)]
    after = levels(installation.read("doctor")["checks"])

    assert before["file"] == "failure"
    assert [found["found"] for (found,) in prepared] == ["created", "is there"]
    assert after["file"] == "ok"
    words = "exec " + str(installation.command) + " worker file --queue default"
    command = f"cd {installation.folder} && {words}"
    worker = processes.start("sh", "-c", command, env=installation.environment())
    wait_until(lambda: "begins to serve" in worker.output, PATIENCE, "the worker serves")
    job = installation.read("dispatch", "add", '{"numbers": [1, 2]}')["id"]

    def report() -> Any:
        return installation.read("jobs", "show", job)

    wait_until(lambda: report()["job"]["state"] == "succeeded", PATIENCE, "the job has ended")
    assert [attempt["engine"] for attempt in report()["attempts"]] == ["file"]


@pytest.mark.timeout(1500)
def test_it_keeps_every_promise_carries_on_what_rq_lost_and_runs_the_demo(
    installation: Installation, wheels: Path
) -> None:
    install(installation.python, wheels, "failsoft-testing[engines]")

    found = installation.read("engines", "test", "file")
    demo = installation.run("demo", "--engines", "file,dramatiq", "--jobs", "40", "--json")

    assert [each for each in found["promises"] if not each["kept"]] == []
    assert {each["suite"] for each in found["promises"]} == {
        "EngineSuite",
        "WorkerSuite",
        "TakeOver",
    }
    assert demo.returncode == OK, demo.stdout + demo.stderr
    assert installation.run("ledger", "verify").returncode == OK


@pytest.mark.timeout(900)
def test_a_new_engine_passes_its_tests_as_it_is_made(wheels: Path, tmp_path: Path) -> None:
    python = environment_with("failsoft[embedded,testing]", wheels, tmp_path / "environment")
    installation = Installation(python, tmp_path)

    made = installation.read("engines", "new", "my-bus", FAILSOFT_ENGINES="rq")
    install(python, wheels, f"{made['folder']}[test] @ file://{tmp_path / made['folder']}")
    ran = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / made["folder"],
        env=installation.environment(FAILSOFT_ENGINES="rq"),
        capture_output=True,
        text=True,
        check=False,
    )
    taken = installation.run(
        "engines", "test", "my-bus", "--only", "take over", FAILSOFT_ENGINES="rq"
    )

    assert ran.returncode == 0, ran.stdout
    assert taken.returncode == OK, taken.stdout + taken.stderr
