"""`python -m tests.typing.verify`: everything public has a type that every checker reads alike.

pyright's `--verifytypes` at 100 %, for each package; prints what is missing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]

PACKAGES = tuple(
    f"failsoft.{name}"
    for name in (
        *("job_engine", "testing", "testkit", "adoption", "queue", "ledger", "dispatcher"),
        *("api", "engine_api", "worker"),
    )
)
#: Modules whose signatures show what Celery, kombu and amqp define, which have no types, and what
#: derives from classes of Django, whose types are generic in its stubs alone.
UNTYPED = (
    *(f"failsoft_engine_celery.{module}." for module in ("consumer", "rabbitmq", "redis", "tasks")),
    *(
        f"failsoft.adoption.celery.{module}."
        for module in ("FailsoftTask", "jobs", "results", "task")
    ),
    # What derives from Dramatiq's broker, whose attributes have no types.
    *("failsoft.adoption.dramatiq.FailsoftBroker", "failsoft.adoption.dramatiq.broker."),
    *(f"failsoft_contrib_django.{module}." for module in ("admin", "models")),
)
AT_ONCE = 2


def incomplete(package: str, path: str) -> list[str]:
    """Return what is said of the symbols of a package on `path` that are not typed completely."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal"]
    command += ["--verifytypes", package]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    report: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    found = list(_missing(report))
    seen = report["exportedSymbolCounts"]["withKnownType"]
    return found if found or seen else [f"{package}: {report}"]


def nested_in(folder: Path) -> list[str]:
    """Link engines and contributions into a folder, and return the names that they have there.

    Each is a package of its own: pyright looks for one below one namespace and no deeper.
    """
    found = []
    places = [*ROOT.glob("engines/*/src/failsoft/engines/*")]
    places += ROOT.glob("packages/*/src/failsoft/contrib/*")
    for place in sorted(places):
        kind = "contrib" if place.parent.name == "contrib" else "engine"
        found.append(f"failsoft_{kind}_{place.name}")
        (folder / found[-1]).symlink_to(place)
    return found


def _missing(report: dict[str, Any]) -> Iterator[str]:
    for symbol in report["symbols"]:
        typed = symbol["isTypeKnown"] or f"{symbol['name']}.".startswith(UNTYPED)
        if symbol["isExported"] and not typed:
            said = [each["message"].partition("\n")[0] for each in symbol["diagnostics"]]
            yield f"{symbol['name']}: {'; '.join(said)}"


def main() -> int:
    """Verify all packages, two at a time."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        packages = [*PACKAGES, *nested_in(Path(folder))]
        reports = pool.map(partial(incomplete, path=folder), packages)
        found = [line for lines in reports for line in lines]
    for line in found:
        print(line)  # noqa: T201 - a command that prints
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
