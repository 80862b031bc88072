"""Installed from what would be published, and nothing else of ours, on the supported Pythons."""

import json
from pathlib import Path

import pytest

from tests.integration.test_distribution import environment_with
from tests.integration.test_readme import PRINTED, PROGRAM
from tests.release.conftest import release_tool
from tests.release.pythons import VERSIONS, interpreter, printed
from tests.servers.processes import PATIENCE, Processes, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

_version = pytest.mark.parametrize("version", VERSIONS)


def package_of(wheel: Path) -> str:
    """Return the package of a wheel, as `failsoft.engines.rq`; of `failsoft` itself, its API."""
    name = wheel.name.split("-")[0].removeprefix("failsoft").removeprefix("_")
    if name.startswith("engine_"):
        return f"failsoft.engines.{name.removeprefix('engine_')}"
    return f"failsoft.{name.replace('contrib_', 'contrib.')}" if name else "failsoft.api"


@_version
def test_each_is_installed_alone(version: str, distributions: Path, tmp_path: Path) -> None:
    for wheel in sorted(distributions.glob("*.whl")):
        name, package = wheel.name.split("-")[0], package_of(wheel)
        python = environment_with(
            name, distributions, tmp_path / name, interpreter=interpreter(version)
        )

        found = printed(python, "-I", "-c", f"import {package}; print({package})", cwd=tmp_path)

        assert found.startswith(f"<module '{package}' from "), name


@_version
def test_the_program_of_the_readme_runs(
    version: str, distributions: Path, tmp_path: Path, processes: Processes
) -> None:
    folder = tmp_path / "environment"
    python = environment_with(
        "failsoft[embedded]", distributions, folder, interpreter=interpreter(version)
    )
    assert PROGRAM is not None
    (tmp_path / "app.py").write_text(PROGRAM.group(1))
    command = f"cd {tmp_path} && exec {python.parent / 'failsoft'} dev --no-reload"
    dev = processes.start("sh", "-c", command, env={"FAILSOFT_JOBS": "app"})
    wait_until(lambda: "ready" in dev.output, PATIENCE, "failsoft dev is ready")

    found = printed("sh", "-c", f". .failsoft/env && {python} app.py", cwd=tmp_path)

    assert found.strip() == PRINTED


def test_the_bill_of_materials_names_what_is_installed(distributions: Path, tmp_path: Path) -> None:
    python = environment_with("failsoft", distributions, tmp_path / "environment")
    bill = distributions / "sbom.json"

    release_tool("cyclonedx-py", "environment", str(python), "--output-file", str(bill))

    components = {each["name"].lower() for each in json.loads(bill.read_text())["components"]}
    assert {"failsoft", "failsoft-worker", "rq", "dramatiq", "sqlalchemy", "pydantic"} <= components
