"""What a command opens it closes, in its own process: connections, clients, threads."""

import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from failsoft.ledger import Database
from failsoft.ledger.schema.revision import MINIMUM
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.cli import main
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.preflight import preflight
from tests.integration.cli.command_line import JOBS
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey
from tests.unit.worker.configuration.environment import forget_settings

#: Imported into this process, where other tests declare queues of the same names.
OWN_JOBS = JOBS.replace('"threads"', '"closed-threads"').replace('"children"', '"closed-children"')
#: A check of `doctor` that is given up goes on in its thread, and what it opens then ends with the
#: process; so each gets the time to end.
COMMANDS = (
    ("dispatch", "add", '{"numbers": [1]}', "--job-id", "job-1"),
    ("dispatch", "add", '{"numbers": "none"}'),
    ("jobs", "list"),
    ("jobs", "show", "job-1"),
    ("jobs", "show", "absent"),
    ("jobs", "steps", "job-1"),
    ("jobs", "cancel", "job-1"),
    ("jobs", "retry", "absent"),
    ("jobs", "resolve", "job-1", "--fail"),
    ("jobs", "pause", "add"),
    ("jobs", "resume", "add"),
    ("queues", "list"),
    ("queues", "pause", "default"),
    ("queues", "resume", "default"),
    ("schedules", "list"),
    ("events", "send", "paid", "--key", "k"),
    ("engines",),
    ("doctor", "--timeout", f"{PATIENCE}s"),
    ("ledger", "upgrade"),
    ("ledger", "verify"),
    ("ledger", "prune"),
    ("ledger", "rotate-keys"),
    ("ledger", "take-over"),
)


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, valkey: Valkey, second_valkey: Valkey
) -> pytest.MonkeyPatch:
    forget_settings(monkeypatch, tmp_path)
    (tmp_path / "closing_jobs.py").write_text(OWN_JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("AMQP_URL", second_valkey.url)
    monkeypatch.setenv("FAILSOFT_JOBS", "closing_jobs")
    return monkeypatch


@pytest.fixture
def ledger(environment: pytest.MonkeyPatch, postgres_url: str) -> str:
    environment.setenv("FAILSOFT_LEDGER_URL", postgres_url)
    with closing(Database(postgres_url)) as database:
        upgrade(database)
    return postgres_url


def connections(url: str) -> int:
    """How many others are connected to the ledger."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        found = connection.execute(query).fetchone()
        assert found is not None
        return int(found[0])


def clients(server: Valkey) -> int:
    """The number of connections to a Valkey, without the one that counts them."""
    return len(server.command("CLIENT", "LIST").splitlines()) - 1


def test_no_command_leaves_a_connection_or_a_thread(
    ledger: str, valkey: Valkey, second_valkey: Valkey
) -> None:
    before = set(threading.enumerate())

    for words in COMMANDS:
        done = CliRunner().invoke(main, words)

        assert done.exception is None or isinstance(done.exception, SystemExit), words
        wait_until(lambda: connections(ledger) == 0, PATIENCE, f"{words} closes the ledger")
        for server in (valkey, second_valkey):
            wait_until(lambda s=server: clients(s) == 0, PATIENCE, f"{words} closes its clients")
    # Once for all of them: each takes the moment that a thread is idle before it ends.
    wait_until(lambda: set(threading.enumerate()) <= before, PATIENCE, "the commands end threads")


def test_a_preflight_closes_the_ledger(ledger: str) -> None:
    assert "closed-threads" in preflight(load_settings())

    wait_until(lambda: connections(ledger) == 0, PATIENCE, "the preflight closes the ledger")


def test_a_ledger_that_does_not_fit_is_closed(ledger: str) -> None:
    with psycopg.connect(ledger.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE failsoft_schema SET version_num = '9999'")
        connection.execute("UPDATE failsoft_info SET value = '9999' WHERE key = %s", [MINIMUM])

    for words in (("jobs", "list"), ("engines",), ("worker", "maintenance"), ("worker", "rq")):
        assert CliRunner().invoke(main, words).exit_code == 78
        wait_until(lambda: connections(ledger) == 0, PATIENCE, f"{words} closes the ledger")
