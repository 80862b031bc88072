"""`failsoft demo` as a person runs it: a real process, and nothing left of it."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from failsoft.worker.exit_codes import CONFIG, USAGE
from tests.servers.processes import PATIENCE, Process, Processes, is_alive, wait_until

KEYS = [
    "dispatched",
    "succeeded",
    "failed",
    "lost",
    "double_authority",
    "by_engine",
    "resumed_jobs",
    "rows_expected",
    "rows_imported",
    "webhooks_expected",
    "webhooks_received_unique",
    "messages_returned",
    "stale_messages_refused",
    "failover_ms",
    "failed_back",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the demo has its temporary folder; not a `tmp_path`, which a socket finds too long."""
    with TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


def start(processes: Processes, folder: Path, *arguments: str) -> Process:
    """Start the demo; its temporary folder goes below `folder`."""
    failsoft = Path(sys.executable).with_name("failsoft")
    env = {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    return processes.start(failsoft, "demo", *arguments, env=env)


def numbers(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def assert_nothing_runs(demo: Process) -> None:
    wait_until(lambda: not demo.tree(), PATIENCE, "every process of the demo has ended")


def test_the_demo_shows_what_it_promises_and_leaves_nothing(
    processes: Processes, folder: Path
) -> None:
    demo = start(processes, folder, "--jobs", "40", "--seed", "3", "--json")

    status = demo.wait(2 * PATIENCE)

    assert status == 0, demo.tail
    found = numbers(demo.output)
    assert list(found) == KEYS
    assert found["dispatched"] == found["succeeded"] == 41
    assert found["failed"] == found["lost"] == found["double_authority"] == 0
    assert list(found["by_engine"]) == ["rq", "dramatiq"]
    assert min(found["by_engine"].values()) > 0
    assert sum(found["by_engine"].values()) == 41
    assert found["resumed_jobs"] >= 1
    assert found["rows_imported"] == found["rows_expected"] == 3376
    assert found["webhooks_received_unique"] == found["webhooks_expected"] == 40
    assert found["messages_returned"] >= 1
    assert found["stale_messages_refused"] >= 1
    assert found["failover_ms"] > 0
    assert found["failed_back"] is True
    assert re.search(r"dramatiq resumed the import at batch \d+ of 136", demo.output)
    assert "No job was lost, and none had two authorities" in demo.output
    assert list(folder.iterdir()) == []
    assert_nothing_runs(demo)


@pytest.mark.long
def test_two_ledgers_share_the_jobs_and_none_is_lost(processes: Processes, folder: Path) -> None:
    demo = start(processes, folder, "--jobs", "40", "--seed", "3", "--ledgers", "2", "--json")

    status = demo.wait(3 * PATIENCE)

    assert status == 0, demo.tail
    found = numbers(demo.output)
    assert list(found) == [*KEYS, "by_ledger"]
    assert found["dispatched"] == found["succeeded"] == 41
    assert found["lost"] == found["double_authority"] == 0
    assert found["resumed_jobs"] >= 1
    assert list(found["by_ledger"]) == ["a", "b"]
    assert min(found["by_ledger"].values()) > 0
    assert sum(found["by_ledger"].values()) == 41
    assert list(folder.iterdir()) == []
    assert_nothing_runs(demo)


#: Each engine with a server once as the first and once as the fallback; the ledger has none.
PAIRS = [
    *("kafka,ledger", "nats,dramatiq", "rq,inngest", "celery,kafka", "inngest,nats"),
    *("dramatiq,celery", "celery,ledger"),
]


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS)
def test_any_engine_may_fail_or_carry_on(processes: Processes, folder: Path, pair: str) -> None:
    demo = start(processes, folder, "--engines", pair, "--jobs", "40", "--seed", "3", "--json")

    status = demo.wait(3 * PATIENCE)

    assert status == 0, demo.tail
    found = numbers(demo.output)
    assert found["dispatched"] == found["succeeded"] == 41
    assert found["lost"] == found["double_authority"] == 0
    assert list(found["by_engine"]) == pair.split(",")
    assert min(found["by_engine"].values()) > 0
    assert found["resumed_jobs"] >= 1
    assert found["rows_imported"] == found["rows_expected"]
    assert found["failed_back"] is True
    assert list(folder.iterdir()) == []
    assert_nothing_runs(demo)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_cleans_up(
    processes: Processes, folder: Path, number: signal.Signals
) -> None:
    demo = start(processes, folder, "--jobs", "40")
    demo.wait_for_output("are dispatched to rq")

    demo.signal(number)
    demo.signal(number)  # a second one changes nothing

    assert demo.wait() != 0
    assert list(folder.iterdir()) == []
    assert_nothing_runs(demo)


def test_a_demo_that_is_killed_leaves_no_process(processes: Processes, folder: Path) -> None:
    demo = start(processes, folder, "--jobs", "40")
    demo.wait_for_output("are dispatched to rq")
    family = demo.tree()

    demo.kill(tree=False)

    # A worker that was only just starting finds out when it has loaded its code.
    over = "every process of the demo has ended"
    wait_until(lambda: not any(map(is_alive, family)), PATIENCE, over)
    assert_nothing_runs(demo)


def test_too_few_jobs_are_refused(processes: Processes, folder: Path) -> None:
    demo = start(processes, folder, "--jobs", "5")

    assert demo.wait() == 2
    assert "5 is not in the range" in demo.output


REFUSED = {
    "ledger,rq": (
        CONFIG,
        "got ledger, which has none; give it as the fallback, as in --engines rq",
    ),
    "rq,memory": (CONFIG, "got memory, whose messages stay in one process"),
    "kafkaa,rq": (CONFIG, "got kafkaa; did you mean 'kafka'?"),
    "rq": (USAGE, "expected two engines, as in rq,dramatiq, got rq"),
    "rq,rq": (USAGE, "expected a name for each engine"),
}


#: How a real process ends for it; the others say the same of other words.
SHOWN = "ledger,rq"


@pytest.mark.parametrize(
    "engines",
    [pytest.param(each, marks=() if each == SHOWN else pytest.mark.long) for each in REFUSED],
)
def test_engines_that_it_cannot_show_are_refused_with_what_to_do(
    processes: Processes, folder: Path, engines: str
) -> None:
    status, said = REFUSED[engines]
    demo = start(processes, folder, "--engines", engines)

    assert demo.wait() == status, demo.tail
    # A box of Click's may break the line.
    assert said in " ".join(demo.output.replace("│", " ").split())
    assert "Traceback" not in demo.output
    assert list(folder.iterdir()) == []
