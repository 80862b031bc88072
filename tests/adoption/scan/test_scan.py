"""The call sites of a program, what each becomes, and what blocks it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from failsoft.adoption.scan.program import scan
from failsoft.worker.cli import main

PROGRAM = {
    "queues.py": """\
from rq import Queue, Retry
from redis import Redis

queue = Queue("mail", connection=Redis())
queue.enqueue(print, 1, retry=Retry(3), result_ttl=5)
queue.enqueue(lambda: None, depends_on="a")
""",
    "actors.py": """\
import dramatiq

@dramatiq.actor(max_retries=5)
def add(one, two):
    return one + two

add.send(1, 2)
add.send_with_options(args=(1, 2), notify_shutdown=True)
""",
    "tasks.py": """\
from celery import Celery, shared_task

app = Celery()

@shared_task
def add(one, two): ...

add.delay(1, 2)
add.apply_async((1, 2), serializer="pickle")
add.apply_async((1, 2), serializer="json")
app.send_task("add")
""",
    "views.py": """\
from shop.tasks import add
import requests

def view(request):
    add.delay(1, 2)
    requests.Session().send(request)
""",
    ".venv/lib/other.py": "add.delay(1)\n",
    "broken.py": "def :\n",
}

EXPECTED = [
    ("actors.py", 3, "dramatiq.actor", ""),
    ("actors.py", 7, "add.send", ""),
    ("actors.py", 8, "add.send_with_options", "notify_shutdown"),
    ("broken.py", 1, "", "it cannot be read"),
    ("queues.py", 4, "Queue", ""),
    ("queues.py", 5, "queue.enqueue", "result_ttl: leave it out"),
    ("queues.py", 6, "queue.enqueue", "a lambda"),
    ("tasks.py", 3, "Celery", ""),
    ("tasks.py", 5, "shared_task", ""),
    ("tasks.py", 8, "add.delay", ""),
    ("tasks.py", 9, "add.apply_async", "serializer"),
    ("tasks.py", 10, "add.apply_async", ""),
    ("tasks.py", 11, "app.send_task", "call the task"),
    ("views.py", 5, "add.delay", ""),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, code in PROGRAM.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    return tmp_path


def test_each_call_site_is_found(folder: Path) -> None:
    sites = scan(folder)

    found = [(site.path.name, site.line, site.call) for site in sites]
    assert found == [expected[:3] for expected in EXPECTED]
    for site, (*_, blocked) in zip(sites, EXPECTED, strict=True):
        assert blocked in site.blocked
        assert bool(blocked) == bool(site.blocked), site
    assert "enqueue_many" in sites[6].blocked


def test_nothing_is_rewritten(folder: Path) -> None:
    scan(folder)

    assert {name: (folder / name).read_text() for name in PROGRAM} == PROGRAM


def test_the_command_prints_what_was_found(folder: Path) -> None:
    ran = CliRunner().invoke(main, ["adopt", "scan", str(folder), "--json"])

    assert ran.exit_code == 1
    document = json.loads(ran.output)
    assert len(document) == len(EXPECTED)
    assert document[0]["becomes"] == "an actor of a FailsoftBroker"
    clean = CliRunner().invoke(main, ["adopt", "scan", str(folder / "views.py")])
    assert clean.exit_code == 0
    assert "a dispatch" in clean.output
