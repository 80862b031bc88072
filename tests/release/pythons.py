"""The Pythons that a release is tried on."""

import os
import subprocess
from pathlib import Path

from tests.integration.test_distribution import uv

#: The oldest and the newest that the classifiers name; `RELEASE_PYTHONS` names others.
DEFAULT = "3.11 3.13"
VERSIONS = tuple(os.environ.get("RELEASE_PYTHONS", DEFAULT).split())


def interpreter(version: str) -> str:
    """Return an interpreter of a version.

    Raises:
        AssertionError: There is none; the message says what to do.
    """
    found = [
        *Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob(f"versions/{version}*")
    ]
    for each in sorted(found):
        if (each / "bin" / "python").exists():
            return str(each / "bin" / "python")
    try:
        return uv("python", "find", "--system", "--no-project", version).strip()
    except AssertionError:
        raise AssertionError(
            f"expected Python {version}, got none; install it, or name others in RELEASE_PYTHONS"
        ) from None


def printed(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a program to its end, and return what it printed."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    found = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout
