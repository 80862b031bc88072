"""`python -m tests.typing.verify`: everything public has a type that every checker reads alike.

pyright's `--verifytypes` at 100 %, for each package; prints what is missing.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ENGINES = Path(__file__).parents[2] / "engines"

PACKAGES = (
    *("job_engine", "testing", "queue", "ledger", "dispatcher", "api", "engine_api", "worker"),
    *(f"engines.{path.name}" for path in sorted(ENGINES.iterdir()) if path.is_dir()),
)
AT_ONCE = 2


def incomplete(package: str) -> list[str]:
    """Return what is said of the symbols of a package that are not typed completely."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal"]
    command += ["--verifytypes", f"failsoft.{package}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    found = list(_missing(report))
    return found if found or report["completenessScore"] == 1 else [f"{package}: {report}"]


def _missing(report: dict[str, Any]) -> Iterator[str]:
    for symbol in report["symbols"]:
        if symbol["isExported"] and not symbol["isTypeKnown"]:
            said = [each["message"].partition("\n")[0] for each in symbol["diagnostics"]]
            yield f"{symbol['name']}: {'; '.join(said)}"


def main() -> int:
    """Verify all packages, two at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [line for lines in pool.map(incomplete, PACKAGES) for line in lines]
    for line in found:
        print(line)  # noqa: T201 - a command that prints
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
