"""F01 to F03: the process that dispatches is killed before, between and after its two steps."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from failsoft.job_engine.errors import JobNotFoundError
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_each_ran_once
from tests.faults.support import ON_SQLITE, adopt, through_proxy
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import Process, wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.valkey import Valkey

MODULE = "tests.faults.processes.dispatch_program"
JOB = "doomed"

WAITERS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.mark.fault("F01")
@ON_SQLITE
def test_a_job_whose_dispatcher_died_before_the_offer_runs_once_all_the_same(
    deployment: Deployment, valkey: Valkey, proxy_to_valkey: TcpProxy
) -> None:
    proxy_to_valkey.blackhole()
    redis = {"FAILSOFT_REDIS_URL": through_proxy(valkey.url, valkey.port, proxy_to_valkey)}
    dispatcher = deployment.processes.python("-m", MODULE, JOB, env=redis)
    wait_until(lambda: exists(deployment), PATIENCE, "the job is committed")

    dispatcher.kill()
    assert valkey.keys() == set()
    deployment.wait_for(deployment.worker("rq", "threads"))
    adopt(deployment, JOB)
    deployment.wait_for_ends()

    assert_each_ran_once(deployment)


@pytest.mark.fault("F02")
@ON_SQLITE
def test_a_job_whose_dispatcher_died_after_the_offer_needs_no_repair(
    deployment: Deployment,
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads"))

    dispatcher = deployment.processes.python("-m", MODULE, JOB, "--die")
    assert dispatcher.wait(PATIENCE) < 0
    handle = adopt(deployment, JOB)
    deployment.wait_for_ends()

    assert deployment.kinds(handle) == ["dispatch", "claim", "succeed"]
    assert_each_ran_once(deployment)


@pytest.mark.fault("F03")
def test_a_dispatcher_that_died_before_its_commit_leaves_no_job_and_no_message(
    deployment: Deployment, valkey: Valkey, ledger_url: str, request: pytest.FixtureRequest
) -> None:
    with the_jobs_locked(ledger_url, request) as wait_for_waiter:
        dispatcher = deployment.processes.python("-m", MODULE, JOB)
        dispatcher.wait_for_output("dispatching", PATIENCE)
        wait_for_waiter(dispatcher)

    assert not exists(deployment)
    assert valkey.keys() == set()


Waiting = Callable[[Process], None]


@contextmanager
def the_jobs_locked(url: str, request: pytest.FixtureRequest) -> Iterator[Waiting]:
    """Keep every dispatcher from committing; give what kills one that tries."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as stranger:
            stranger.execute("BEGIN EXCLUSIVE")
            yield lambda dispatcher: dispatcher.kill()
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with psycopg.connect(url.replace("+psycopg", "")) as stranger:
        stranger.execute("LOCK TABLE failsoft_jobs IN SHARE MODE")
        yield lambda dispatcher: kill_with_its_session(stranger, dispatcher)
        assert postgres.is_running


def kill_with_its_session(
    stranger: "psycopg.Connection[tuple[object, ...]]", dispatcher: Process
) -> None:
    def count() -> object:
        row = stranger.execute(WAITERS).fetchone()
        return row is not None and row[0]

    wait_until(count, PATIENCE, "the dispatcher waits for its commit")
    dispatcher.kill()
    # A session that waits for a lock does not notice that its client is gone.
    stranger.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE NOT granted")


def exists(deployment: Deployment) -> bool:
    try:
        deployment.app.ledger.get(JOB)
    except JobNotFoundError:
        return False
    return True
