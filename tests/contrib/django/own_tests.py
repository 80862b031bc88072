"""Django's own tests of its tasks, from the sdist of the release that is installed."""

import subprocess
import tarfile
from pathlib import Path

from django import get_version

TOOLS = Path(__file__).parents[3] / ".tools"


class MissingSdistError(Exception):
    """The sdist is not there, and could not be downloaded; the message has the command."""


def own_tests() -> Path:
    """Return the folder of Django's tests, which is downloaded once.

    Raises:
        MissingSdistError: It cannot be; the message says which command failed.
    """
    name = f"django-{get_version()}"
    folder = TOOLS / "sdists" / name / "tests"
    if not folder.exists():
        _download(TOOLS / "sdists", f"django=={get_version()}")
        with tarfile.open(TOOLS / "sdists" / f"{name}.tar.gz") as archive:
            wanted = [each for each in archive if each.name.startswith(f"{name}/tests/tasks")]
            archive.extractall(TOOLS / "sdists", wanted, filter="data")
    return folder


def _download(folder: Path, requirement: str) -> None:
    command = [
        *(str(TOOLS / "bin" / "pip"), "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-binary=:all:", "--ignore-requires-python"),
        *("--dest", str(folder), requirement),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingSdistError(
            f"expected Django's sdist, got none; run: {' '.join(command)}\n{done.stderr}"
        )
