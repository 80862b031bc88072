"""`failsoft new`: what it refuses, and that what it makes passes its checks and works."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
import yaml
from click.testing import CliRunner

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.worker.cli import main
from failsoft.worker.scaffold.frameworks import FRAMEWORKS, Framework
from failsoft.worker.scaffold.project import Ledger, Project
from failsoft.worker.scaffold.rendering import write
from tests.deployments.deployment import installed_command
from tests.docs.test_frameworks import answers
from tests.integration.test_distribution import environment_with, uv, wheels
from tests.servers.processes import PATIENCE, Process, Processes, free_port, wait_until

__all__ = ["wheels"]

#: The services that do not come with an engine or a ledger.
OWN_SERVICES = {"upgrade", "web", "worker"}
MOST_FILES = 14


class Options(NamedTuple):
    """What the application is made with, beside its name."""

    framework: Framework
    engines: str
    ledger: Ledger

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(
            word for name, value in self._asdict().items() for word in (f"--{name}", value)
        )


ONE = Options("fastapi", "rq,dramatiq", "sqlite")
ALL = tuple(
    Options(framework, engines, ledger)
    for framework, engines in product(FRAMEWORKS, ("rq,dramatiq", "ledger"))
    for ledger in get_args(Ledger)
)


@dataclass(frozen=True)
class Made:
    """An application that was made, and the environment that it is installed in."""

    framework: Framework
    folder: Path
    programs: Path
    env: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "PYTHONPATH": str(self.folder), **self.env}

    def run(self, *command: str) -> str:
        found = subprocess.run(
            command,
            cwd=self.folder,
            env={"HOME": str(self.folder), **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    def start(self, processes: Processes, *command: str) -> Process:
        words = f"cd {self.folder} && exec {' '.join(command)}"
        return processes.start("sh", "-c", words, env=self.environment)


def make(folder: Path, *options: str) -> list[Path]:
    words = ["new", "shop", "--folder", str(folder / "shop"), "--yes", "--json", *options]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return [Path(path) for path in json.loads(done.stdout)["files"]]


def expect_tested(made: Made) -> None:
    assert "3 passed" in made.run("make", "test")


def expect_served(made: Made, processes: Processes) -> None:
    """Start the workers and the application, place an order, and see it done."""
    made.run("make", ".env")
    dev = made.start(processes, "make", "dev")
    wait_until(lambda: "ready: " in dev.output, PATIENCE, "failsoft dev is ready")
    job = "order-7"
    if made.framework == "none":
        assert "receipt-7-1990" in made.run("make", "run")
    else:
        port = free_port()
        web = made.start(processes, "make", "run", f"PORT={port}")
        wait_until(lambda: answers(web, port), PATIENCE, "the application answers")
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("POST", "/orders/7")
        response = connection.getresponse()
        assert response.status == 202, web.tail
        # Tasks of Django have no id of their caller's.
        placed = json.loads(response.read())["job"]
        assert made.framework == "django" or placed == job
        job = placed
        connection.close()

    def state() -> str:
        shell = f"test ! -f .failsoft/env || . .failsoft/env; failsoft jobs show {job} --json"
        return str(json.loads(made.run("sh", "-c", shell))["job"]["state"])

    wait_until(lambda: state() == "succeeded", PATIENCE, "the order is placed")
    dev.terminate()


@pytest.fixture
def env(options: Options, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The ledger's URL, if it is no file."""
    if options.ledger == "sqlite":
        return {}
    url: str = request.getfixturevalue("postgres_url")
    # As `.env.example` has it: Django's settings are made of it, and name no driver.
    return {"FAILSOFT_LEDGER_URL": url.replace("postgresql+psycopg:", "postgresql:")}


def test_what_it_makes_passes_its_tests(tmp_path: Path) -> None:
    make(tmp_path, *ONE.words)
    made = Made(ONE.framework, tmp_path / "shop", Path(sys.executable).parent, {})

    expect_tested(made)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("options", ALL, ids="-".join)
def test_every_combination_is_green_and_works_from_wheels(
    *,
    options: Options,
    env: Mapping[str, str],
    wheels: Path,
    processes: Processes,
    tmp_path: Path,
) -> None:
    python = environment_with("failsoft", wheels, tmp_path / "environment")
    words = [str(python.parent / "failsoft"), "new", "shop", *options.words, "--docker", "--yes"]
    subprocess.run(words, cwd=tmp_path, check=True)
    folder = tmp_path / "shop"
    found = ("--quiet", "--python", str(python), "--find-links", str(wheels))
    uv("pip", "install", *found, "--editable", f"{folder}[dev]")
    made = Made(options.framework, folder, python.parent, env)

    made.run("make", "check")
    expect_tested(made)
    expect_served(made, processes)


@pytest.mark.parametrize("options", ALL, ids="-".join)
def test_the_containers_are_those_of_the_options(options: Options, tmp_path: Path) -> None:
    files = make(tmp_path, *options.words, "--docker")
    compose = yaml.safe_load((tmp_path / "shop" / "compose.yaml").read_text())

    assert len(files) <= MOST_FILES
    brokers = {"redis", "rabbitmq"} if options.engines == "rq,dramatiq" else set()
    stores = {"postgresql"} if options.ledger == "postgresql" else set()
    assert set(compose["services"]) == OWN_SERVICES | brokers | stores
    mounted = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
    }
    assert mounted == set(compose.get("volumes") or ())
    workers = compose["services"]["worker"]["environment"]
    assert workers["FAILSOFT_ENGINES"] == options.engines
    assert workers["FAILSOFT_LEDGER_URL"].startswith(f"{options.ledger}:")
    assert ("REDIS_URL" in workers) == bool(brokers)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["Shop"], "lower-case letters, digits and _, that begins with a letter, got 'Shop'"),
        (["my-shop"], "got 'my-shop'"),
        (["class"], "got 'class'"),
        (["../shop"], "got '../shop'"),
        (["failsoft"], "got 'failsoft', which is a module already; take another, as my_failsoft"),
        (["test"], "got 'test', which is a module already"),
        (["tests"], "got 'tests', which is a module already"),
        (["pydantic"], "got 'pydantic', which is a module already"),
        (["shop", "--engines", "cafca"], "expected installed engines"),
        (["shop", "--engines", "rq,rq"], "expected a name for each engine"),
        (["shop", "--engines", "eu=rq"], "expected engines without aliases, got eu=rq"),
        (["shop", "--engines", ","], "expected at least one engine, as in rq,dramatiq, got none"),
        (["shop", "--engines", "R Q"], "got 'R Q'"),
        (["shop", "--framework", "rails"], "'rails' is not one of 'fastapi', 'django', 'flask'"),
    ],
)
def test_it_refuses_and_writes_nothing(
    words: list[str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(main, ["new", *words, "--yes"])

    assert done.exit_code == 2
    assert found in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_there_already_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_folder: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "shop"
    kept = there / "kept.txt" if is_folder else there
    kept.parent.mkdir(exist_ok=True, parents=True)
    kept.write_text("kept")

    done = CliRunner().invoke(main, ["new", "shop", "--yes"])

    assert done.exit_code == 2
    assert "expected a new or an empty folder, got shop" in " ".join(done.output.split())
    assert kept.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [there]


def test_a_file_that_cannot_be_written_leaves_none_behind(tmp_path: Path) -> None:
    project = Project("shop", "none", [EngineName.parse("ledger")], "sqlite")
    files = [*project.files(), (Path("pyproject.toml/below-a-file"), "")]

    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        write(tmp_path / "shop", files)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_empty_is_filled_in_its_place(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino

    write(tmp_path, Project("shop", "none", [EngineName.parse("ledger")], "sqlite").files())

    assert (tmp_path / "shop" / "app.py").exists()
    assert tmp_path.stat().st_ino == before


def test_a_name_of_a_module_is_refused_for_a_project_in_code() -> None:
    with pytest.raises(OptionInvalidError, match="which is a module already"):
        Project("json", "none", [EngineName.parse("ledger")], "sqlite")


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_a_person_is_shown_the_files_first(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reader, writer = os.openpty()
    command = [installed_command("failsoft"), "new", "shop"]
    running = subprocess.Popen(command, stdin=writer, stdout=subprocess.PIPE, text=True)
    os.write(reader, answer.encode())
    printed, _ = running.communicate(timeout=PATIENCE)
    os.close(reader)
    os.close(writer)

    assert "shop: .env.example" in printed
    assert (tmp_path / "shop").exists() == (answer == "y\n")
    assert running.returncode == (0 if answer == "y\n" else 1)
