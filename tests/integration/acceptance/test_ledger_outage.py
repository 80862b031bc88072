"""The ledger is away for a while: nothing starts, what runs goes on, and nothing is lost."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic

import pytest

from failsoft.job_engine.errors import JobNotFoundError, LedgerUnavailableError
from tests.deployments.deployment import PATIENCE, Play, Stage
from tests.deployments.effect_log import ENDED
from tests.deployments.promises import assert_all_on, assert_each_ran_once
from tests.jobs.scripted import Act, in_child, in_thread
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import Processes, wait_until

Outage = Callable[[], AbstractContextManager[None]]

#: How long the ledger is away, in seconds.
AWAY = 5
#: Outlasts the outage, so that nobody has to give up a job.
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
    """Take the ledger away: PostgreSQL is stopped, SQLite is locked by somebody else."""
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
    stage: Stage, outage: Outage, gate: Path, job: Play
) -> None:
    _, dramatiq = stage.workers(job.queue.name, FAILSOFT_LEASE=LONG_LEASE)
    running = stage.dispatch(job, Act(steps=3, halt_at=2, gate=str(gate)), engines=("rq",))
    stage.wait_for_step(running, "step-2")
    stage.freeze(dramatiq)
    waiting = stage.dispatch(job, engines=("dramatiq",))

    with outage():
        began = monotonic()
        dramatiq.process.thaw()
        gate.touch()
        wait_until(lambda: has_ended(stage, running.id, "step-2"), PATIENCE, "the step ends")
        wait_until(lambda: monotonic() - began > AWAY, PATIENCE, "the outage lasts a while")
        assert not stage.witness.begun(waiting.id)
        assert not stage.witness.has_begun(running.id, "step-3")
    stage.wait_for_ends()

    assert [each.job().crashes for each in stage.handles] == [0, 0]
    assert stage.witness.engines(running.id) == ["rq"]
    assert stage.witness.engines(waiting.id) == ["dramatiq"]
    assert_each_ran_once(stage)


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
@pytest.mark.fault("F21")
def test_a_dispatch_while_the_ledger_is_away_raises_and_sends_nothing(
    stage: Stage, outage: Outage
) -> None:
    stage.workers("threads")

    with outage(), pytest.raises(LedgerUnavailableError):
        stage.app.dispatcher.dispatch(in_thread, Act(), job_id="unheard-of")
    stage.dispatch(in_thread)
    stage.wait_for_ends()

    with pytest.raises(JobNotFoundError):
        stage.app.ledger.get("unheard-of")
    assert_each_ran_once(stage)
    assert_all_on(stage, "rq")


def has_ended(stage: Stage, job_id: str, step: str) -> bool:
    return any((line.what, line.step) == (ENDED, step) for line in stage.witness.lines(job_id))
