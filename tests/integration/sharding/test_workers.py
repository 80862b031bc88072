"""Workers of two ledgers under one supervisor, on one pair of brokers."""

import json
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from failsoft.dispatcher import JobHandle, ShardedDispatcher
from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.verify import verify
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.engine_sites import release_engines
from failsoft.worker.wiring import dispatcher_of
from tests.deployments.deployment import installed_command
from tests.deployments.effect_log import FILE, EffectLog
from tests.integration.sharding.conftest import IN_A, IN_B, NAMES, of_both, two_ledgers
from tests.integration.sharding.jobs import Relay, relay
from tests.jobs.scripted import Script, in_thread
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, Process, Processes, wait_until
from tests.servers.valkey import Valkey

A_WHILE = timedelta(seconds=PATIENCE)


#: Two workers of each engine, each of which serves its own ledger.
ALL = {("rq", "threads"), ("dramatiq", "threads")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two-ledgers")


@pytest.fixture(scope="module")
def ledger_urls(
    folder: Path, tables_on_sqlite: Path, postgres: Postgres, tables_on_postgres: str
) -> Iterator[dict[str, str]]:
    name = f"two_ledgers_{uuid.uuid4().hex}"
    url = postgres.create_database(name, template=tables_on_postgres)
    yield two_ledgers(folder, tables_on_sqlite, url)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def environment(folder: Path, ledger_urls: dict[str, str]) -> Iterator[None]:
    with (
        pytest.MonkeyPatch.context() as patch,
        Valkey(folder / "valkey") as redis,
        Valkey(folder / "second-valkey") as second,
    ):
        brokers = {"FAILSOFT_REDIS_URL": redis.url, "FAILSOFT_AMQP_URL": second.url}
        for name, value in of_both(ledger_urls, brokers, folder).items():
            patch.setenv(name, value)
        yield
        release_engines(load_settings())


@pytest.fixture(scope="module")
def supervisor(environment: None, folder: Path) -> Iterator[Process]:
    """`failsoft worker all`, for all tests: its start costs more than what they do with it."""
    processes = Processes(folder)
    started = processes.start(
        installed_command("failsoft"), "worker", "all", "--queue", "threads", "--json"
    )
    yield started
    try:
        assert started.terminate(2 * PATIENCE) == 0
    finally:
        processes.end()


@pytest.fixture(scope="module")
def ledgers(ledger_urls: dict[str, str]) -> Iterator[dict[str, SqlLedger]]:
    databases = {name: Database(url) for name, url in ledger_urls.items()}
    yield {name: SqlLedger(database) for name, database in databases.items()}
    for database in databases.values():
        database.close()


@pytest.fixture
def workers(supervisor: Process, ledgers: dict[str, SqlLedger]) -> Process:
    """The supervisor, when every process of it serves."""
    wait_until(
        lambda: all(
            {(w.engine, w.queue) for w in each.live_workers()} == ALL for each in ledgers.values()
        ),
        2 * PATIENCE,
        "a worker of each engine for each ledger",
    )
    return supervisor


@pytest.fixture
def effect_log(environment: None) -> EffectLog:
    return EffectLog(Path(os.environ[FILE]))


@pytest.fixture
def dispatcher(environment: None) -> Iterator[ShardedDispatcher]:
    made = dispatcher_of(load_settings())
    assert isinstance(made, ShardedDispatcher)
    yield made
    made.close()
    release_engines(load_settings())


def test_each_job_runs_once_in_the_ledger_of_its_shard(
    dispatcher: ShardedDispatcher, workers: Process, ledgers: dict[str, SqlLedger]
) -> None:
    labels = json.loads(workers.output.splitlines()[0])["serves"]
    assert sorted(labels) == sorted(
        f"{engine}:threads@{name}" for engine in ("rq", "dramatiq") for name in NAMES
    )
    before = {name: ids(ledger) for name, ledger in ledgers.items()}
    handles = [
        dispatcher.dispatch(in_thread, Script(steps=2), shard=f"tenant-{number % 8}")
        for number in range(24)
    ]
    for handle in handles:
        wait_for_end(handle)

    assert {each.status() for each in handles} == {JobState.SUCCEEDED}
    found = {name: ids(ledger) - before[name] for name, ledger in ledgers.items()}
    assert found["a"] | found["b"] == {each.id for each in handles}
    assert not found["a"] & found["b"]
    assert min(map(len, found.values())) > 0
    assert broken(ledgers) == []


def test_a_worker_of_one_ledger_dies_and_its_job_goes_on(
    dispatcher: ShardedDispatcher,
    workers: Process,
    ledgers: dict[str, SqlLedger],
    effect_log: EffectLog,
) -> None:
    script = Script(steps=3, halt_at=2, gate="never")
    halted = dispatcher.dispatch(in_thread, script, shard=IN_B, engines=("rq",))
    wait_until(lambda: effect_log.has_begun(halted.id, "step-2", 1), PATIENCE, "it halts")
    others = {each.pid for each in ledgers["a"].live_workers()}

    dead = next(w for w in ledgers["b"].live_workers() if w.engine == "rq")
    kill(workers, dead.pid)
    wait_for_end(halted)

    assert halted.status() is JobState.SUCCEEDED
    assert effect_log.times_begun(halted.id) == {"step-1": 1, "step-2": 2, "step-3": 1}
    # Its death was noted in its own ledger, so nothing waited for a lease.
    assert halted.job().crashes == 1
    assert {each.pid for each in ledgers["a"].live_workers()} == others
    assert broken(ledgers) == []


def test_a_job_dispatches_others_to_the_ledger_of_their_shard(
    dispatcher: ShardedDispatcher, workers: Process, ledgers: dict[str, SqlLedger]
) -> None:
    ways = [(IN_A, IN_B), (IN_B, IN_A), (IN_A, IN_A)]
    relays = [
        dispatcher.dispatch(relay, Relay(shard=there, key="7"), shard=here) for here, there in ways
    ]

    to_b, to_a, to_a_again = [each.result(2 * A_WHILE) for each in relays]

    assert to_a == to_a_again
    assert ledgers["b"].get(to_b).name == ledgers["a"].get(to_a).name == "in-thread"
    for job_id in (to_a, to_b):
        wait_for_end(dispatcher.handle(in_thread, job_id))
    assert broken(ledgers) == []


def test_one_ledger_away_holds_up_its_own_shards_and_no_other(
    dispatcher: ShardedDispatcher, workers: Process, postgres: Postgres
) -> None:
    wait_for_end(dispatcher.dispatch(in_thread, Script(), shard=IN_A))

    postgres.freeze()
    try:
        wait_for_end(dispatcher.dispatch(in_thread, Script(), shard=IN_A))
    finally:
        postgres.thaw()
    wait_for_end(dispatcher.dispatch(in_thread, Script(), shard=IN_B))


def wait_for_end(handle: JobHandle[Any]) -> None:
    wait_until(lambda: handle.status().is_terminal, 2 * PATIENCE, f"the end of {handle}")


def broken(ledgers: dict[str, SqlLedger]) -> list[Violation]:
    """Every promise that a ledger's histories break."""
    found = [checked for each in ledgers.values() for checked in verify(each.database)]
    return [violation for checked in found for violation in checked.violations]


def ids(ledger: SqlLedger) -> set[str]:
    return {job.id for job in ledger.list_jobs(limit=1000)}


def kill(supervisor: Process, pid: int) -> None:
    [child] = [each for each in supervisor.tree() if each.pid == pid]
    child.kill()
