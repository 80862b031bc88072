"""The programs of the pages on frameworks: each is served, worked for and requested as printed."""

import json
import re
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

import django
import pytest

from tests.deployments.deployment import installed_command
from tests.docs.page import commands_of
from tests.docs.test_guide import exists
from tests.servers.processes import PATIENCE, Process, Processes, free_port, wait_until
from tests.servers.valkey import Valkey

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
#: Those that every worker serves.
QUEUES = 3
PAGES = [HOW_TO / f"{name}.md" for name in ("fastapi", "flask", "django", "notebooks")]

_FILE = re.compile(
    r"^```\w+\n(?:# |%%writefile )([\w/]+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
_REQUEST = re.compile(r"^\| `(\w+) (\S+)` \| (\d+) `(.*)` \|$", re.MULTILINE)
_CELL = re.compile(
    r"^```python\n(?!# \w+\.py)(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def write_files(page: Path, folder: Path, queue: str = "default") -> None:
    for name, code in _FILE.findall(page.read_text()):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code.replace("@job()", f"@job(queue={queue!r})"))


def answer(port: int, method: str, path: str) -> tuple[int, object]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def answers(server: Process, port: int) -> bool:
    assert server.is_running, server.tail
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.connect()
        connection.close()
    except ConnectionRefusedError:
        return False
    return True


def expect_the_answers_of(page: Path, server: Process, port: int) -> None:
    wait_until(lambda: answers(server, port), PATIENCE, "the app answers")
    requests = _REQUEST.findall(page.read_text())
    assert requests
    for method, path, status, body in requests:
        expected = (int(status), json.loads(body))
        assert answer(port, method, path) == expected, server.tail


def settings(valkey: Valkey) -> dict[str, str]:
    return {
        "FAILSOFT_ENGINES": "rq",
        "FAILSOFT_REDIS_URL": valkey.url,
        "FAILSOFT_MAINTENANCE_EVERY": "300ms",
        "PYTHONUNBUFFERED": "1",
    }


def ran(processes: Processes, *command: str, env: Mapping[str, str]) -> None:
    program = processes.start(installed_command(command[0]), *command[1:], env=env)
    assert program.wait() == 0, program.tail


def serving(processes: Processes, *command: str, env: Mapping[str, str]) -> Process:
    """Start a worker, and wait until it serves its queues."""
    worker = processes.start(installed_command(command[0]), *command[1:], "worker", "rq", env=env)
    expect_served(worker)
    return worker


def expect_served(worker: Process) -> None:
    def serves() -> bool:
        assert worker.is_running, worker.tail
        return worker.output.count("begins to serve queue") >= QUEUES

    wait_until(serves, PATIENCE, "the worker serves its queues")


def test_the_app_in_fastapi(
    processes: Processes, valkey: Valkey, tmp_path: Path, ledger_url: str
) -> None:
    page = HOW_TO / "fastapi.md"
    write_files(page, tmp_path)
    env = {**settings(valkey), "FAILSOFT_LEDGER_URL": ledger_url, "FAILSOFT_JOBS": "jobs"}
    ran(processes, "failsoft", "ledger", "upgrade", env=env)
    worker = serving(processes, "failsoft", env=env)
    port = free_port()
    command = (installed_command("uvicorn"), "app:app", "--port", str(port))
    server = processes.start(*command, env={**env, "PYTHONPATH": str(tmp_path)})

    expect_the_answers_of(page, server, port)

    assert server.terminate() in {0, -15}, server.tail
    assert "Application shutdown complete" in server.output
    assert worker.is_running, worker.tail


@pytest.mark.long
def test_the_app_in_flask(
    processes: Processes, valkey: Valkey, tmp_path: Path, ledger_url: str
) -> None:
    page = HOW_TO / "flask.md"
    # Where attempts run in threads of the worker, and where each has a process of its own.
    write_files(page, tmp_path, "default" if ledger_url.startswith("sqlite") else "data-sync")
    driver = ledger_url.replace("postgresql:", "postgresql+psycopg:")
    env = {**settings(valkey), "SHOP_DATABASE_URL": driver}
    ran(processes, "flask", "failsoft", "ledger", "upgrade", env=env)
    worker = serving(processes, "flask", "failsoft", env=env)
    port = free_port()
    server = processes.start(installed_command("flask"), "run", "--port", str(port), env=env)

    expect_the_answers_of(page, server, port)

    assert worker.is_running, worker.tail


@pytest.mark.long
def test_the_project_in_django(
    processes: Processes, valkey: Valkey, tmp_path: Path, ledger_url: str
) -> None:
    page = HOW_TO / "django.md"
    write_files(page, tmp_path)
    if django.VERSION < (6, 0):
        tasks = tmp_path / "shop" / "tasks.py"
        tasks.write_text(tasks.read_text().replace("from django.tasks", "from django_tasks"))
    # A Flask app that was made in this process has set its own.
    env = {**settings(valkey), "SHOP_DATABASE_URL": ledger_url, "FAILSOFT_JOBS": ""}
    manage = (installed_command("python"), "manage.py")
    upgraded = processes.start(*manage, "failsoft", "ledger", "upgrade", env=env)
    assert upgraded.wait() == 0, upgraded.tail
    worker = processes.start(*manage, "failsoft_worker", "rq", env=env)
    expect_served(worker)
    port = free_port()
    server = processes.start(*manage, "runserver", "--noreload", f"127.0.0.1:{port}", env=env)

    expect_the_answers_of(page, server, port)

    assert worker.is_running, worker.tail


NOTEBOOK = """
import asyncio
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("%load_ext failsoft.contrib.ipython").raise_error()
async def run():
    # As a kernel does, whose loop is at work.
    cell = shell.transform_cell({cell!r})
    (await shell.run_cell_async(cell, transformed_cell=cell)).raise_error()
asyncio.run(run())
"""


@pytest.mark.long
def test_the_cells_of_a_notebook(
    processes: Processes, valkey: Valkey, tmp_path: Path, sqlite_url: str
) -> None:
    page = HOW_TO / "notebooks.md"
    write_files(page, tmp_path)
    env = {**settings(valkey), "FAILSOFT_LEDGER_URL": sqlite_url, "FAILSOFT_JOBS": "jobs"}
    ran(processes, "failsoft", "ledger", "upgrade", env=env)
    serving(processes, "failsoft", env=env)
    ((cell, printed),) = _CELL.findall(page.read_text())
    (tmp_path / "notebook.py").write_text(NOTEBOOK.format(cell=cell))

    notebook = processes.python("notebook.py", env={**env, "IPYTHONDIR": str(tmp_path)})

    assert notebook.wait() == 0, notebook.tail
    assert notebook.output == printed


@pytest.mark.parametrize("line", sorted({c for page in PAGES for c in commands_of(page)}))
def test_every_command_exists(line: str) -> None:
    exists(line)
