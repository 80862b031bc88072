"""What the probes of a worker say while it works, in an outage, and when it stands still."""

import json
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import psutil
import pytest
from rq.suspension import resume, suspend

from tests.integration.cli.command_line import PATIENCE, CommandLine
from tests.integration.cli.conftest import SOON
from tests.servers.fork_server import ForkServer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import Process, Processes, is_listening, wait_until, words_of
from tests.servers.valkey import Valkey

#: An outage of a server, from its begin to its end.
Outage = Callable[[], Iterator[None]]
CONFIG, TRY_AGAIN = 78, 75
#: An age that no report of a live supervisor reaches.
STALE = "8s"


class Probed:
    """A worker, and what its probes say."""

    def __init__(self, cli: CommandLine, *words: str) -> None:
        self.cli = cli
        cli.env |= {"RUNTIME_DIRECTORY": str(cli.folder / "run")}
        self.worker = cli.start("worker", *words, "--health", "127.0.0.1:0", "--json")
        self.url = wait_until(self._announced, PATIENCE, "a worker's announcement")

    def status(self, path: str) -> int:
        return self._get(path)[0]

    def reasons(self, path: str) -> list[str]:
        found: list[str] = self._get(path)[1]["reasons"]
        return found

    def unready(self) -> set[str]:
        """The posts that are not ready."""
        return {each.partition(" ")[0] for each in self.reasons("/readyz")}

    def wait_for(self, path: str, status: int) -> None:
        """Wait for what a probe is to say; the worker is live at each look."""
        wait_until(
            lambda: self.live() and self.status(path) == status,
            PATIENCE,
            f"{status} of {path}, got {self.reasons(path)}",
        )

    def live(self) -> bool:
        assert self.status("/livez") == 200, self.reasons("/livez")
        return True

    def command(self, *words: str) -> int:
        return self.cli.run("health", *words).status

    def _get(self, path: str) -> tuple[int, Mapping[str, list[str]]]:
        try:
            url = self.url + path
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - http
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def _announced(self) -> str:
        assert self.worker.is_running, self.worker.tail
        for line in self.worker.output.splitlines():
            with suppress(ValueError):
                return str(json.loads(line)["health"])
        return ""


@pytest.fixture
def postgres_cli(  # noqa: PLR0917 - fixtures are arguments
    clean_environment: Path,
    processes: Processes,
    command_server: ForkServer,
    postgres_url: str,
    valkey: Valkey,
    second_valkey: Valkey,
) -> CommandLine:
    """A command line whose ledger is on PostgreSQL."""
    found = CommandLine(clean_environment, processes, command_server, postgres_url)
    found.upgrade()
    found.write_jobs()
    found.env |= {"REDIS_URL": valkey.url, "AMQP_URL": second_valkey.url, **SOON}
    return found


def children(worker: Process) -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process(worker.pid).children()
        if "failsoft.worker" in words_of(each)
    ]


def expect_healthy(probed: Probed) -> None:
    """Wait until it serves; then it passes every probe."""
    probed.wait_for("/readyz", 200)
    assert probed.status("/startupz") == 200
    assert probed.reasons("/readyz") == []
    assert (probed.command(), probed.command("--ready")) == (0, 0)


def test_a_worker_passes_every_probe_until_it_stops_and_leaves_nothing_to_be_found(
    live_cli: CommandLine,
) -> None:
    probed = Probed(live_cli, "maintenance")
    expect_healthy(probed)

    probed.worker.signal(signal.SIGTERM)
    wait_until(lambda: not probed.worker.is_running, PATIENCE, "the worker's end")

    assert probed.command() == TRY_AGAIN
    assert list((live_cli.folder / "run").iterdir()) == []


def test_a_supervisor_that_stands_still_is_not_live(live_cli: CommandLine) -> None:
    probed = Probed(live_cli, "maintenance")
    probed.wait_for("/readyz", 200)

    probed.worker.freeze(tree=False)
    wait_until(
        lambda: probed.command("--max-age", STALE) == TRY_AGAIN, PATIENCE, "a report that is old"
    )
    port = int(probed.url.rpartition(":")[2])
    # The kernel accepts for it, and nothing answers: that is how a probe over HTTP fails.
    assert is_listening(port)
    probed.worker.thaw()

    wait_until(lambda: probed.command("--max-age", STALE) == 0, PATIENCE, "a new report")
    probed.wait_for("/readyz", 200)


def test_a_killed_supervisor_fails_the_probe_until_the_next_one_reports(
    live_cli: CommandLine,
) -> None:
    first = Probed(live_cli, "maintenance")
    wait_until(lambda: first.command() == 0, PATIENCE, "a report")

    first.worker.kill()
    wait_until(lambda: first.command("--max-age", STALE) == TRY_AGAIN, PATIENCE, "an old report")
    second = Probed(live_cli, "maintenance")

    wait_until(lambda: second.command("--ready") == 0, PATIENCE, "the next one's report")
    assert [each.stem for each in (live_cli.folder / "run").glob("*.json")] == [
        f"worker-{second.worker.pid}"
    ]


def test_a_post_whose_process_was_killed_is_not_ready_until_the_next_one_serves(
    live_cli: CommandLine,
) -> None:
    probed = Probed(live_cli, "all", "--queue", "threads")
    expect_healthy(probed)
    of_each_engine = children(probed.worker)

    for engine, process in zip(("rq", "dramatiq"), of_each_engine, strict=True):
        process.kill()
        probed.wait_for("/readyz", 503)
        (reason,) = probed.reasons("/readyz")
        probed.wait_for("/readyz", 200)

        assert reason == f"{engine}:threads has not served within 2 s"
        assert probed.status("/startupz") == 200


def has_lost(probed: Probed, lost: set[str]) -> bool:
    """Return whether it is live, and these alone are not ready."""
    return probed.live() and probed.unready() == lost


@contextmanager
def stopped(server: Valkey | Postgres) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def suspended(server: Valkey) -> Iterator[None]:
    with server.client() as client:
        suspend(client)
        yield
        resume(client)


@pytest.mark.parametrize(
    "outages",
    [("redis", "ledger"), pytest.param(("suspended", "second"), marks=pytest.mark.long)],
    ids="-then-".join,
)
def test_an_outage_makes_a_worker_not_ready_and_leaves_it_live(  # noqa: PLR0917 - fixtures
    postgres_cli: CommandLine,
    valkey: Valkey,
    second_valkey: Valkey,
    postgres: Postgres,
    outages: tuple[str, ...],
) -> None:
    rq, dramatiq = "rq:threads", "dramatiq:threads"
    known = {
        "redis": (stopped(valkey), {rq}),
        "suspended": (suspended(valkey), {rq}),
        "second": (stopped(second_valkey), {dramatiq}),
        "ledger": (stopped(postgres), {rq, dramatiq}),
    }
    probed = Probed(postgres_cli, "all", "--queue", "threads")
    probed.wait_for("/readyz", 200)

    for outage, lost in (known[each] for each in outages):
        with outage:
            probed.wait_for("/readyz", 503)
            wait_until(partial(has_lost, probed, lost), PATIENCE, f"{lost} not ready")
            # Its state is written at the next turn of its loop.
            wait_until(lambda: probed.command("--ready") == TRY_AGAIN, PATIENCE, "the state file")
            assert probed.command() == 0
            assert probed.status("/startupz") == 200
        probed.wait_for("/readyz", 200)


def test_processes_that_start_again_while_the_ledger_is_away_are_no_crash_loop(
    postgres_cli: CommandLine, postgres: Postgres
) -> None:
    probed = Probed(postgres_cli, "rq", "--queue", "threads")
    probed.wait_for("/readyz", 200)

    with stopped(postgres):
        for each in children(probed.worker):
            each.kill()
        ended = f"ended with status {TRY_AGAIN}; starts again"
        wait_until(
            lambda: probed.live() and probed.worker.output.count(ended) >= 2, PATIENCE, ended
        )
        assert probed.status("/startupz") == 200
    probed.wait_for("/readyz", 200)


def test_an_address_that_is_taken_is_refused(live_cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        answer = live_cli.run("worker", "maintenance", "--health", f"127.0.0.1:{port}")

    assert answer.status == CONFIG
    assert f"FAILSOFT_HEALTH: expected an address that is free, got 127.0.0.1:{port}" in answer.err
