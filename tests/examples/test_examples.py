"""The applications of examples/ pass their own tests and checks, as their users run them."""

import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.docs.test_frameworks import answers
from tests.integration.test_distribution import environment_with, uv, wheels
from tests.servers.processes import PATIENCE, Processes, free_port, wait_until

__all__ = ["wheels"]

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Those that are applications; the engine has tests of its own (tests/contract/engines).
APPLICATIONS = ("django_site", "pipeline", "shop")
#: What it needs is in every environment, and its tests take a moment.
CHEAP = "pipeline"


def run(folder: Path, *command: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_application_is_tried_here() -> None:
    found = {path.parent.name for path in EXAMPLES.glob("*/pyproject.toml")}

    assert found - {"failsoft_engine_file"} == set(APPLICATIONS)


def test_the_cheap_one_passes_its_tests() -> None:
    run(EXAMPLES / CHEAP, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@pytest.fixture(params=APPLICATIONS)
def example(request: pytest.FixtureRequest) -> Path:
    return EXAMPLES / str(request.param)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_each_passes_its_tests_and_checks_from_wheels(
    example: Path, wheels: Path, tmp_path: Path
) -> None:
    python = environment_with("failsoft", wheels, tmp_path / "environment")
    found = ("--quiet", "--python", str(python), "--find-links", str(wheels))
    uv("pip", "install", *found, "--editable", f"{example}[dev]")

    run(example, str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider")
    run(example, str(python), "-m", "mypy", "--cache-dir", str(tmp_path / "mypy"))


@pytest.mark.long
def test_the_shop_carries_out_an_order_in_its_own_processes(
    processes: Processes, tmp_path: Path
) -> None:
    shop = EXAMPLES / "shop"
    programs = Path(sys.executable).parent
    port = free_port()
    env = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(shop / "src"),
        "SHOP_FOLDER": str(tmp_path),
    }
    prepared = f"cp {shop}/Makefile {shop}/.env.example . && exec make"

    dev = processes.start("sh", "-c", f"cd {tmp_path} && {prepared} dev", env=env)
    wait_until(lambda: "ready: " in dev.output, PATIENCE, "failsoft dev is ready")
    web = processes.start("sh", "-c", f"cd {tmp_path} && exec make run PORT={port}", env=env)
    wait_until(lambda: answers(web, port), PATIENCE, "the shop answers")

    def ask(method: str, path: str, body: object = None) -> dict[str, object]:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = {"content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status < 300, text
        answer: dict[str, object] = json.loads(text)
        return answer

    ask("POST", "/orders", {"sku": "kettle", "email": "ada@example.org"})
    wait_until(lambda: ask("GET", "/orders/1")["state"] == "paid", PATIENCE, "the order is paid")
    ask("POST", "/orders/1/parcel", {"tracking": "P-7"})
    wait_until(
        lambda: ask("GET", "/orders/1")["job"] == "succeeded", PATIENCE, "the parcel is sent"
    )
    assert len(list((tmp_path / "mail").iterdir())) == 2
    dev.terminate()
