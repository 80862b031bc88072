"""A fork has what it needs from the server: what it loaded for itself, hundreds would load."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.fork_server import COMMAND_LINE, ENGINES, WORKER, ForkServer
from tests.servers.processes import PATIENCE

READ_SETTINGS = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
before = set(sys.modules)
from failsoft.worker.configuration.settings import load_settings
load_settings()
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.long
@pytest.mark.parametrize("modules", [WORKER, COMMAND_LINE], ids=["worker", "command line"])
def test_settings_load_no_engine_that_the_server_has_not(
    modules: tuple[str, ...], tmp_path: Path
) -> None:
    assert not engines_in(newly_loaded(tmp_path, *modules))


@pytest.mark.long
def test_settings_would_load_them_otherwise(tmp_path: Path) -> None:
    without = (name for name in WORKER if name not in ENGINES)

    assert engines_in(newly_loaded(tmp_path, *without)) >= set(ENGINES)


def main() -> None:
    """Print what the system shows of the environment."""
    sys.stdout.write(Path("/proc/self/environ").read_text())


def test_the_system_shows_the_environment_of_a_fork(tmp_path: Path) -> None:
    env, log = {"GIVEN": "1", "LAST": "marks it"}, tmp_path / "log"
    with ForkServer() as server:
        assert server.fork(__name__, (), env=env, cwd=tmp_path, log=log).wait(PATIENCE) == 0

    shown = log.read_text().rstrip("\0").split("\0")
    assert shown == ["LAST=marks it", "GIVEN=1"]


def engines_in(modules: list[str]) -> set[str]:
    return {name for name in modules if name.startswith("failsoft.engines.")}


def newly_loaded(folder: Path, *modules: str) -> list[str]:
    env = {**os.environ, "FAILSOFT_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}"}
    words = [sys.executable, "-c", READ_SETTINGS, *modules]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder, env=env)
    return done.stdout.split()
