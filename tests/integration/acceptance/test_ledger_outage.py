"""The ledger is away for a while: nothing starts, what runs goes on, and nothing is lost."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic

import pytest

from failsoft.job_engine.errors import JobNotFoundError, LedgerUnavailableError
from tests.deployments.deployment import PATIENCE, Deployment, ScriptedJob
from tests.deployments.effect_log import ENDED
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Script, in_child, in_thread
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import Processes, wait_until

Outage = Callable[[], AbstractContextManager[None]]

#: How long the ledger is away, in seconds.
AWAY = 5
#: Outlasts the outage, so that no worker gives up a job.
LONG_LEASE = "30s"

LOCK = """
import sqlite3, sys, threading
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def outage(request: pytest.FixtureRequest, ledger_url: str, processes: Processes) -> Outage:
    """Take the ledger away: PostgreSQL is stopped, SQLite is locked by another program."""
    if ledger_url.startswith("sqlite"):
        file = ledger_url.removeprefix("sqlite:///")
        return lambda: locked(file, processes)
    postgres: Postgres = request.getfixturevalue("postgres")
    return lambda: stopped(postgres)


@contextmanager
def locked(file: str, processes: Processes) -> Iterator[None]:
    stranger = processes.python("-c", LOCK, file)
    stranger.wait_for_output("locked", PATIENCE)
    yield
    stranger.kill()


@contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@pytest.mark.parametrize("job", [in_thread, in_child], ids=["thread", "process"])
@pytest.mark.fault("F21")
def test_an_outage_of_the_ledger_starts_nothing_and_ends_nothing(
    deployment: Deployment, outage: Outage, gate: Path, job: ScriptedJob
) -> None:
    _, dramatiq = deployment.workers(job.queue.name, FAILSOFT_LEASE=LONG_LEASE)
    running = deployment.dispatch(job, Script(steps=3, halt_at=2, gate=str(gate)), engines=("rq",))
    deployment.wait_for_step(running, "step-2")
    deployment.freeze(dramatiq)
    waiting = deployment.dispatch(job, engines=("dramatiq",))

    with outage():
        began = monotonic()
        dramatiq.process.thaw()
        gate.touch()
        wait_until(lambda: has_ended(deployment, running.id, "step-2"), PATIENCE, "the step ends")
        wait_until(lambda: monotonic() - began > AWAY, PATIENCE, "the outage lasts a while")
        assert not deployment.effect_log.begun(waiting.id)
        assert not deployment.effect_log.has_begun(running.id, "step-3")
    deployment.wait_for_ends()

    assert [each.job().crashes for each in deployment.handles] == [0, 0]
    assert deployment.effect_log.engines(running.id) == ["rq"]
    assert deployment.effect_log.engines(waiting.id) == ["dramatiq"]
    assert_each_ran_once(deployment)


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
@pytest.mark.fault("F21")
def test_a_dispatch_while_the_ledger_is_away_raises_and_sends_nothing(
    deployment: Deployment, outage: Outage
) -> None:
    deployment.workers("threads")

    with outage(), pytest.raises(LedgerUnavailableError):
        deployment.app.dispatcher.dispatch(in_thread, Script(), job_id="unheard-of")
    deployment.dispatch(in_thread)
    deployment.wait_for_ends()

    with pytest.raises(JobNotFoundError):
        deployment.app.ledger.get("unheard-of")
    assert_each_ran_once(deployment)
    assert_all_on(deployment, "rq")


def has_ended(deployment: Deployment, job_id: str, step: str) -> bool:
    return any(
        (line.phase, line.step) == (ENDED, step) for line in deployment.effect_log.lines(job_id)
    )
