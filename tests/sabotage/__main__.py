"""Break one rule after the other in a copy of the product; exit 1 if a layer stays green.

`python -m tests.sabotage`, and with `--evidence FOLDER` the figures are kept there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from tests.sabotage.breaks import BREAKS, Break

ROOT = Path(__file__).parents[2]
SOURCES = ("packages", "engines", "apps")
FAILED = re.compile(r"^FAILED \S+::(\S+)", re.MULTILINE)
#: pytest's exit code when tests failed; any other proves nothing.
RED = 1
#: How many of the tests that turned red are shown.
TOLD = 3


@click.command()
@click.option("--evidence", type=click.Path(path_type=Path), help="Where the figures are kept.")
def main(evidence: Path | None) -> None:
    """Report for every rule which tests miss it."""
    console = Console(stderr=True)
    results = [play(each) for each in track(BREAKS, "breaking rules", console=console)]
    for each in results:
        colour = "green" if each["caught"] else "red"
        console.print(f"[{colour}]{each['rule']:6}[/] {each['meaning']}: {', '.join(each['by'])}")
    if evidence is not None:
        (evidence / "sabotage.json").write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(0 if all(each["caught"] for each in results) else 1)


def play(each: Break) -> Mapping[str, Any]:
    """Run the layer of a break against a copy that has it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in SOURCES:
            shutil.copytree(ROOT / name, copy / name)
        change(copy / each.file, each)
        done = run(copy, each.layer)
    by = FAILED.findall(done.stdout)
    caught = done.returncode == RED and bool(by)
    if not caught:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
    return {"rule": each.rule, "meaning": each.meaning, "caught": caught, "by": by[:TOLD]}


def change(path: Path, each: Break) -> None:
    """Take the rule out.

    Raises:
        AssertionError: If the code does not read any more as the break expects.
    """
    text = path.read_text()
    found = text.count(each.right)
    assert found == 1, f"{each.rule}: expected {each.right!r} once in {each.file}, got {found}"
    path.write_text(text.replace(each.right, each.wrong))


def run(copy: Path, layer: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests of this repository against the packages of the copy."""
    sources = [str(path) for name in SOURCES for path in copy.glob(f"{name}/*/src")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sources), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *layer]
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
