"""An environment for each set of packages, made once and kept beside the other tools."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
FOLDER = TOOLS / "bench"


class CannotInstallError(Exception):
    """The packages of a system could not be installed."""


def python_of(packages: tuple[str, ...]) -> Path:
    """Return the Python of an environment with these packages alone; without any, this one.

    Raises:
        CannotInstallError: With what the installer wrote.
    """
    if not packages:
        return Path(sys.executable)
    folder = FOLDER / _name(packages)
    done = folder / ".installed"
    if not done.exists():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--quiet", "--python", str(folder / "bin/python"), *packages)
        done.touch()
    return folder / "bin/python"


def _name(packages: tuple[str, ...]) -> str:
    """Return a name that changes with the versions and with the Python."""
    python = ".".join(map(str, sys.version_info[:3]))
    digest = hashlib.sha256(" ".join((python, *packages)).encode()).hexdigest()
    return f"{packages[0].partition('=')[0].partition('[')[0]}-{digest[:12]}"


def _uv(*arguments: str) -> None:
    program = TOOLS / "bin/uv"
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    found = subprocess.run(  # noqa: S603 - the checkout's own uv
        (program, *arguments), capture_output=True, text=True, check=False, env=environment
    )
    if found.returncode:
        said = found.stderr.strip().splitlines() or [f"status {found.returncode}"]
        raise CannotInstallError(f"expected to install {arguments[-1]}, got: {said[-1]}")
