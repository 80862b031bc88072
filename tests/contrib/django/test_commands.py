"""`manage.py failsoft` and `failsoft_worker`: the command, with the project set up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture(autouse=True)
def databases() -> None:
    """None in this process."""


@pytest.fixture(autouse=True)
def dispatcher() -> None:
    """None in this process."""


def manage(*arguments: str, place: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.contrib.django.project.settings",
        "FAILSOFT_ENGINES": "memory",
        "FAILSOFT_LEDGER_URL": place,
        "_DJANGO_DATABASE_URL": place,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "django", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_command_is_that_of_failsoft_with_the_project_s_jobs(place: str) -> None:
    upgraded = manage("failsoft", "ledger", "upgrade", place=place)
    assert upgraded.returncode == 0, upgraded.stderr

    made = manage("failsoft", "dispatch", "shop-job", "{}", place=place)
    assert made.returncode == 0, made.stderr

    refused = manage("failsoft", "dispatch", "another", "{}", place=place)

    assert refused.returncode != 0
    assert "django_task" in refused.stderr


@pytest.mark.long
def test_the_worker_s_is_its_own(place: str) -> None:
    shown = manage("failsoft_worker", "--help", place=place)

    assert shown.returncode == 0, shown.stderr
    assert "failsoft_worker" in shown.stdout
    assert "Run workers" in shown.stdout
