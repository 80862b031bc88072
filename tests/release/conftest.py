"""The distributions of a release, built as its workflow builds them."""

import sys
from pathlib import Path

import pytest

from tests.integration.test_distribution import ROOT, uv


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the workflow of a release names: the folder to publish."""
    parser.addoption("--release-dist", help="where the distributions are built, and stay")


@pytest.fixture(scope="session")
def distributions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of every member."""
    kept = request.config.getoption("--release-dist", default=None)
    folder = Path(kept).resolve() if kept else tmp_path_factory.mktemp("dist")
    uv("build", "--all-packages", "--quiet", "--out-dir", str(folder), "--python", sys.executable)
    (folder / ".gitignore").unlink(missing_ok=True)
    return folder


def release_tool(*words: str) -> str:
    """Run a program of the group `release`, and return what it printed."""
    return uv(
        "run", "--quiet", "--locked", "--isolated", "--only-group", "release", *words, cwd=ROOT
    )
