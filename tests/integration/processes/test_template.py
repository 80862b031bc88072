"""The template of a supervisor's processes: its forks are as interpreters that are executed."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.supervision.template_process import fork_template
from tests.integration.processes import template_program
from tests.servers.processes import PATIENCE, pid_is_alive, wait_until


def of(name: str, *, status: int = 0) -> tuple[Any, str]:
    """Call a function in an interpreter of its own; return what it returns, and says."""
    command = [sys.executable, "-m", template_program.NAME, name]
    done = subprocess.run(
        command,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "SPT_NOENV"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_fork_finds_what_an_interpreter_finds_that_is_executed() -> None:
    (forked, executed), _ = of("compare")

    assert forked == executed
    assert forked["main"] == template_program.NAME
    assert (forked["words"], forked["option"]) == (["says", "two words"], "--to")
    assert forked["environment"]["GIVEN"] == "1"
    assert forked["leads"]
    assert forked["is shown"]


def test_it_ends_as_one_does() -> None:
    statuses, said = of("ends")

    assert statuses == [7, 1, -9]
    assert said.count("ValueError: as it is told") == 1


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_without_a_template_none_is_forked_and_those_that_run_go_on(end: str) -> None:
    found, said = of(end)

    assert found == [True, True, True]
    assert said.count("the template of the workers") == said.count("forks no process") == 1


def test_it_ends_silently_when_its_supervisor_has_ended_before_it_had_read() -> None:
    assert of("unread") == (0, "")


def test_what_is_forked_ends_with_a_supervisor_that_is_killed() -> None:
    family, _ = of("ended", status=-9)

    wait_until(lambda: not any(map(pid_is_alive, family)), PATIENCE, f"the end of {family}")


def test_a_process_with_threads_has_none() -> None:
    with ThreadPoolExecutor(1) as idle:
        idle.submit(int).result()

        assert fork_template(load_settings(_env_file=None, engines="ledger")) is None
