"""What the README says is so, and its program works as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from failsoft.dispatcher.plugins.discovery import installed, plugin
from failsoft.job_engine.records.diagram import state_diagram
from failsoft.job_engine.records.states import TRANSITIONS
from failsoft.worker.cli import main
from failsoft.worker.configuration.settings import Settings
from tests.servers.processes import PATIENCE, Processes, wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
STATES = (ROOT / "docs" / "reference" / "states.md").read_text()
PROGRAM = re.search(r"```python\n(.*?)```", README, re.DOTALL)
FAILSOFT = Path(sys.executable).parent / "failsoft"
PRINTED = "Welcome, user 7 <ada@example.org>!"


def test_the_program_is_complete_within_the_first_forty_lines() -> None:
    beginning = "\n".join(README.splitlines()[:40])

    assert PROGRAM is not None
    assert PROGRAM.group(0) in beginning


def test_the_program_works_as_printed(tmp_path: Path, processes: Processes) -> None:
    assert PROGRAM is not None
    (tmp_path / "app.py").write_text(PROGRAM.group(1))
    command = f"cd {tmp_path} && exec {FAILSOFT} dev --no-reload"
    dev = processes.start("sh", "-c", command, env={"FAILSOFT_JOBS": "app"})
    wait_until(lambda: "ready" in dev.output, PATIENCE, "failsoft dev to be ready")

    printed = subprocess.run(
        ["sh", "-c", f". .failsoft/env && {sys.executable} app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert printed.stdout.strip() == PRINTED, printed.stderr
    assert PRINTED in README


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"^\$ failsoft ([a-z ]+)", README, re.MULTILINE)))
)
def test_every_command_it_names_exists(line: str) -> None:
    words = [word for word in line.split() if word.isalpha()]
    command = words[:2] if words[0] in ("ledger", "worker", "jobs") else words[:1]

    found = CliRunner().invoke(main, [*command, "--help"])

    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("variable", re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
def test_every_variable_it_names_is_read(variable: str) -> None:
    read = {f"FAILSOFT_{name.upper()}" for name in Settings.model_fields}
    for kind in installed():
        read |= {each for names in plugin(kind).generic.values() for each in names}
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        read |= {str(each) for each in getattr(alias, "choices", [alias])}

    assert variable in read


def test_the_diagram_of_the_states_is_made_from_the_table() -> None:
    assert state_diagram() in STATES
    assert all(f"| `{each.name}` |" in STATES for each in TRANSITIONS)
