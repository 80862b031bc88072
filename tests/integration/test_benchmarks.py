"""The benchmark of an engine runs, and says what stood beside what."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.servers.processes import PATIENCE

ROOT = Path(__file__).parents[2]


def test_the_quick_form_measures_an_engine_beside_its_library() -> None:
    words = ("--engine", "nats", "--quick", "--only", "dispatch", "--only", "many", "--json")

    done = subprocess.run(
        (sys.executable, "bench/engine_dispatch.py", *words),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    one, many = json.loads(done.stdout)["found"]
    assert [each["call"] for each in one["calls"]] == ["jetstream.publish", "dispatch_job"]
    assert [each["call"] for each in many["calls"]] == ["publish, side by side", "dispatch_many"]
    assert one["p50"] > 0 < many["p50"]
