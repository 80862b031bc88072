"""Workers of two ledgers under one supervisor, on one pair of brokers."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.dispatcher import ShardedDispatcher
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.verify import verify
from failsoft.queue.client import close_clients
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import dispatcher_of
from tests.deployments.deployment import installed_command
from tests.deployments.effect_log import EffectLog
from tests.integration.sharding.conftest import IN_A, IN_B, NAMES
from tests.integration.sharding.jobs import Relay, relay
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import PATIENCE, Process, Processes, wait_until


@pytest.fixture
def dispatcher(environment: pytest.MonkeyPatch) -> Iterator[ShardedDispatcher]:
    made = dispatcher_of(load_settings())
    assert isinstance(made, ShardedDispatcher)
    yield made
    made.close()
    close_clients()


@pytest.fixture
def ledgers(ledger_urls: dict[str, str]) -> Iterator[dict[str, SqlLedger]]:
    databases = {name: Database(url) for name, url in ledger_urls.items()}
    yield {name: SqlLedger(database) for name, database in databases.items()}
    for database in databases.values():
        database.close()


@pytest.fixture
def workers(
    environment: pytest.MonkeyPatch, processes: Processes, ledgers: dict[str, SqlLedger]
) -> Process:
    """`failsoft worker all`, when every process of it serves."""
    started = processes.start(
        installed_command("failsoft"), "worker", "all", "--queue", "threads", "--json"
    )
    both = {("rq", "threads"), ("dramatiq", "threads")}
    wait_until(
        lambda: all({(w.engine, w.queue) for w in each.live_workers()} == both
                    for each in ledgers.values()),
        2 * PATIENCE,
        "a worker of each engine for each ledger",
    )
    return started


def test_each_job_runs_once_in_the_ledger_of_its_shard(
    dispatcher: ShardedDispatcher,
    workers: Process,
    ledgers: dict[str, SqlLedger],
    effect_log: EffectLog,
    gate: Path,
) -> None:
    labels = json.loads(workers.output.splitlines()[0])["serves"]
    assert sorted(labels) == sorted(
        f"{engine}:threads@{name}" for engine in ("rq", "dramatiq") for name in NAMES
    )
    halted = dispatcher.dispatch(
        in_thread, Script(steps=3, halt_at=2, gate=str(gate)), shard=IN_B, engines=("rq",)
    )
    handles = [
        dispatcher.dispatch(in_thread, Script(steps=2), shard=f"tenant-{number % 8}")
        for number in range(24)
    ]
    relays = [
        dispatcher.dispatch(relay, Relay(shard=there, key="7"), shard=here)
        for here, there in [(IN_A, IN_B), (IN_B, IN_A), (IN_A, IN_A)]
    ]
    wait_until(lambda: effect_log.has_begun(halted.id, "step-2", 1), PATIENCE, "it halts")

    # One process of one ledger dies: its job goes on, and the other ledger does not notice.
    dead = next(w for w in ledgers["b"].live_workers() if w.engine == "rq")
    kill(workers, dead.pid)
    gate.touch()
    for handle in (*handles, *relays, halted):
        wait_until(lambda h=handle: h.status().is_terminal, 2 * PATIENCE, f"the end of {handle}")

    assert {each.status() for each in (*handles, *relays, halted)} == {JobState.SUCCEEDED}
    assert effect_log.times_begun(halted.id) == {"step-1": 1, "step-2": 2, "step-3": 1}
    # What both relays to one tenant have dispatched is one job, for its key is that ledger's.
    passed_on = [each.result() for each in relays]
    assert passed_on[1] == passed_on[2]
    found = {name: ids(ledger) for name, ledger in ledgers.items()}
    assert (passed_on[0] in found["b"], passed_on[1] in found["a"]) == (True, True)
    assert Counter(len(each) for each in found.values()).total() == 2
    assert not found["a"] & found["b"]
    assert len(found["a"]) + len(found["b"]) == len(handles) + len(relays) + 1 + 2
    wait_until(
        lambda: all(ledger.get(i).state.is_terminal for n, ledger in ledgers.items()
                    for i in found[n]),
        PATIENCE,
        "the end of what was passed on",
    )
    for ledger in ledgers.values():
        broken = [v for checked in verify(ledger.database) for v in checked.violations]
        assert broken == []
        assert {e.engine for job in ledger.list_jobs() for e in ledger.attempts(job.id)} <= {
            "rq",
            "dramatiq",
        }
    workers.terminate(2 * PATIENCE)


def test_one_ledger_away_holds_up_its_own_shards_and_no_other(
    dispatcher: ShardedDispatcher, workers: Process, ledgers: dict[str, SqlLedger], postgres: object
) -> None:
    before = dispatcher.dispatch(in_thread, Script(), shard=IN_A)
    wait_until(lambda: before.status().is_terminal, PATIENCE, "the job before")
    postgres.freeze()  # type: ignore[attr-defined]
    try:
        meanwhile = dispatcher.dispatch(in_thread, Script(), shard=IN_A)
        wait_until(lambda: meanwhile.status().is_terminal, PATIENCE, "a job of the other ledger")
    finally:
        postgres.thaw()  # type: ignore[attr-defined]
    after = dispatcher.dispatch(in_thread, Script(), shard=IN_B)
    wait_until(lambda: after.status().is_terminal, 2 * PATIENCE, "a job of the first ledger")
    workers.terminate(2 * PATIENCE)


def ids(ledger: SqlLedger) -> set[str]:
    return {job.id for job in ledger.list_jobs(limit=1000)}


def kill(supervisor: Process, pid: int) -> None:
    [child] = [each for each in supervisor.tree() if each.pid == pid]
    child.kill()
