"""Let Spin check `failsoft.pml`: as it is, and with each rule taken away.

    python -m tests.model.spin

Ends with 0 if nothing is broken as it is and every mutation breaks the promises named beside it.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.model.summary import VARIABLE

MODEL = Path(__file__).with_name("failsoft.pml")
#: The memory of a search, in megabytes.
MEMORY = 4096
_COMPILE = ("cc", "-O2", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY}", "-o", "pan", "pan.c")
_RUN = ("./pan", "-m200000", "-w24")
_FIGURES = {
    "states": r"([\d.e+]+) states, stored",
    "transitions": r"([\d.e+]+) transitions",
    "depth": r"depth reached (\d+)",
    "megabytes": r"([\d.]+)\s+total actual memory usage",
}


@dataclass(frozen=True)
class Case:
    """One search.

    Attributes:
        defines: What the model is compiled with.
        breaks: The promise that must be broken, by its number; 0 if none may be.
    """

    name: str
    defines: tuple[str, ...]
    breaks: int = 0


@dataclass(frozen=True)
class Verdict:
    """What Spin found."""

    name: str
    defines: tuple[str, ...]
    breaks: int
    broken: bool
    states: int
    transitions: int
    depth: int
    megabytes: float
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Return whether the promise broke that should, or none that should not."""
        return self.broken == bool(self.breaks)


SOUND = (
    Case("2 workers, 1 rescuer, 3 epochs", ("WORKERS=2", "RESCUERS=1", "EPOCHS=3", "CANCEL")),
    Case("2 workers, 2 rescuers, 3 epochs", ("WORKERS=2", "RESCUERS=2", "EPOCHS=3")),
    Case("3 workers, 1 rescuer, 3 epochs", ("WORKERS=3", "RESCUERS=1", "EPOCHS=3")),
    Case(
        "sleeps, retries and releases, 4 epochs",
        ("RESCUERS=1", "EPOCHS=4", "STEPS=3", "SLEEP_AT=0", "RETRIES=1", "RELEASES=1"),
    ),
)
BROKEN = {
    "M1": (8,),
    "M2": (2, 3, 4),
    "M3": (3, 4),
    "M4": (5, 6),
    "M5": (4,),
    "M6": (2, 3),
    "M7": (2, 3, 4),
    "M8": (1,),
    "M9": (6,),
    "M10": (1,),
    "M11": (5,),
}


def cases() -> Iterator[Case]:
    """Return every search: the protocol as it is first."""
    yield from SOUND
    for mutation, broken in BROKEN.items():
        for promise in broken:
            two_plain = ("ONCE_AT=9",) if mutation == "M11" else ()
            defines = ("RESCUERS=1", mutation, f"ONLY={promise}", *two_plain)
            yield Case(f"{mutation} breaks I{promise}", defines, promise)


def check(case: Case) -> Verdict:
    """Run one search in a folder of its own."""
    with TemporaryDirectory(prefix="failsoft-spin-") as folder:
        options = [f"-D{define}" for define in case.defines]
        _call(["spin", "-a", *options, str(MODEL)], folder)
        _call(_COMPILE, folder)
        report, seconds = _timed(folder)
    found = {name: _figure(pattern, report) for name, pattern in _FIGURES.items()}
    return Verdict(
        case.name,
        case.defines,
        case.breaks,
        broken="assertion violated" in report,
        states=int(found["states"]),
        transitions=int(found["transitions"]),
        depth=int(found["depth"]),
        megabytes=found["megabytes"],
        seconds=seconds,
    )


def main() -> int:
    """Run every search and print a line for each."""
    verdicts = []
    for case in cases():
        verdict = check(case)
        verdicts.append(verdict)
        sys.stdout.write(_line(verdict) + "\n")
        sys.stdout.flush()
    _keep(verdicts)
    wrong = [verdict.name for verdict in verdicts if not verdict.as_expected]
    sys.stdout.write(f"not as expected: {', '.join(wrong) or 'none'}\n")
    return int(bool(wrong))


def _call(command: Sequence[str], folder: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _timed(folder: str) -> tuple[str, float]:
    before = os.times()
    report = _call(_RUN, folder)
    after = os.times()
    if "assertion violated" not in report and "errors: 0" not in report:
        raise SystemExit(f"expected a broken promise or none, got:\n{report}")
    if "Search not completed" in report and "errors: 0" in report:
        raise SystemExit(f"expected an exhaustive search, got:\n{report}")
    return report, round(after.children_user - before.children_user, 2)


def _figure(pattern: str, report: str) -> float:
    found = re.search(pattern, report)
    if found is None:
        raise SystemExit(f"expected {pattern!r} in what Spin reports, got:\n{report}")
    return float(found[1])


def _line(verdict: Verdict) -> str:
    expected = f"breaks I{verdict.breaks}" if verdict.breaks else "breaks nothing"
    return (
        f"{'ok ' if verdict.as_expected else 'BAD'} {verdict.name:<40} {expected:<15}"
        f"{verdict.states:>12,} states {verdict.transitions:>13,} transitions"
        f" {verdict.seconds:>7.1f} s {verdict.megabytes:>7.0f} MB"
    )


def _keep(verdicts: Sequence[Verdict]) -> None:
    folder = os.environ.get(VARIABLE)
    if folder:
        path = Path(folder) / "spin.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
