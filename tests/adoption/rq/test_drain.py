"""What waits at plain RQ becomes jobs, each once, whatever ends the drain half-way."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from redis import Redis
from rq import Callback, Queue, Retry
from rq.job import Job

from failsoft.adoption.draining import CHUNK, Drained, Pending, drain_from
from failsoft.adoption.rq.drain import _RqSource, drain
from failsoft.api import EngineUnavailableError
from failsoft.dispatcher import opened_dispatcher, use_dispatcher
from failsoft.job_engine.crash_points import HOOKS
from failsoft.job_engine.definitions.callables import allow_callables
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testkit.kit import Testkit
from tests.adoption.apps import files, shop
from tests.docs.test_frameworks import serving, settings
from tests.servers.processes import PATIENCE, Processes, wait_until
from tests.servers.valkey import Valkey

FILES = "tests.adoption.apps.files"


class KilledError(BaseException):
    """In place of the death of the drain's process."""


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Iterator[SqlLedger]:
    monkeypatch.setenv("FAILSOFT_ENGINES", "memory")
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", sqlite_url)
    use_dispatcher(None)
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        yield SqlLedger(database)
    if (dispatcher := opened_dispatcher()) is not None:
        dispatcher.close()
    use_dispatcher(None)


@pytest.fixture
def plain(valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(valkey.url) as client:
        yield client


def json_queue(client: Redis) -> Queue:
    return Queue("default", connection=client, serializer="json")


def test_what_waits_becomes_jobs(failsoft: Testkit, plain: Redis, valkey: Valkey) -> None:
    from failsoft.adoption.rq import jobs  # noqa: PLC0415 - it imports what is allowed

    failsoft.register(jobs.rq_function, jobs.rq_failure_callback)
    queue = json_queue(plain)
    queue.enqueue(shop.add, 1, two=2)
    queue.enqueue(shop.report, meta={"from": "rq"}, job_timeout=30)
    queue.enqueue(shop.fail, 1, retry=Retry(1, 5), on_failure=Callback(shop.follow))
    queue.enqueue_in(timedelta(hours=1), shop.note, "later")

    assert drain("default", valkey.url, dry_run=True).moved == 4
    assert (len(queue), failsoft.dispatched()) == (2 + 1, [])
    drained = drain("default", valkey.url)

    assert (drained.moved, drained.refused) == (4, {})
    assert [each for each in sorted(valkey.keys()) if each.startswith(("rq:job", "failsoft"))] == []
    for _ in range(3):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(minutes=1)
    assert [str(each) for each in shop.done[:2]] == ["try 1"] * 2
    assert "ValueError: number 1" in str(shop.done[2])
    failsoft.travel(hours=1)
    failsoft.drain()
    assert shop.done[3:] == [(("later",), {})]


def test_what_cannot_be_moved_stays_and_says_why(
    failsoft: Testkit, plain: Redis, valkey: Valkey
) -> None:
    pickled = Queue("default", connection=plain).enqueue(shop.add, 1, 2)
    queue = json_queue(plain)
    followed = queue.enqueue(shop.add, 1, 2, on_success=Callback(shop.follow))
    first = queue.enqueue(shop.add, 1, 2)
    queue.enqueue(shop.add, 3, 4, depends_on=first)
    elsewhere = queue.enqueue("os.system", "true")
    expected = {
        pickled.id: "got a pickle, which is never read.*--burst",
        followed.id: "without on_success",
        first.id: "without jobs that depend on it",
        elsewhere.id: "FAILSOFT_CALLABLES",
    }

    drained = drain("default", valkey.url)

    assert (drained.moved, drained.refused_count) == (0, 4)
    assert failsoft.dispatched() == []
    assert set(queue.job_ids) == set(expected)
    for job_id, said in expected.items():
        assert re.search(said, drained.refused[job_id])


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_no_pickle_is_read(  # noqa: PLR0917 - fixtures
    failsoft: Testkit, plain: Redis, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Queue("default", connection=plain).enqueue(shop.note, Bomb(), meta={"bomb": Bomb()})

    assert drain("default", valkey.url).refused_count == 1
    assert not (tmp_path / "exploded").exists()


def test_a_job_that_a_worker_took_meanwhile_is_not_moved(
    failsoft: Testkit, plain: Redis, valkey: Valkey
) -> None:
    class Raced(_RqSource):
        def pending(self) -> list[Pending]:
            found = list(super().pending())
            plain.lpop("rq:queue:default")
            return found

    json_queue(plain).enqueue(shop.add, 1, 2)

    drained = drain_from(Raced(valkey.url, "default", "default"), dry_run=False)

    assert (drained.moved, drained.gone) == (0, 1)
    assert failsoft.dispatched() == []


def test_two_drains_of_one_queue_move_each_job_once(
    ledger: SqlLedger, plain: Redis, valkey: Valkey
) -> None:
    number = 3 * CHUNK
    json_queue(plain).enqueue_many([Queue.prepare_data(shop.add, (n, n)) for n in range(number)])
    together = Barrier(2)

    def move(_: int) -> Drained:
        together.wait(PATIENCE)
        return drain("default", valkey.url)

    with ThreadPoolExecutor(2) as both:
        found = list(both.map(move, range(2)))

    assert sum(each.moved for each in found) == number
    assert [each.refused for each in found] == [{}, {}]
    assert sum(ledger.counts().values()) == number
    assert [
        key for key in sorted(valkey.keys()) if key.startswith(("rq:job", "rq:queue:", "failsoft"))
    ] == []


@pytest.mark.parametrize("was_taken", [False, True])
def test_what_another_drain_has_done_with_is_neither_refused_nor_put_back(
    ledger: SqlLedger, plain: Redis, valkey: Valkey, was_taken: bool
) -> None:
    class Overtaken(_RqSource):
        """One that another drain overtakes between what it sees and what it reads."""

        def left(self) -> Iterator[Pending]:
            return self._seen(self._places[0].taken())

        def pending(self) -> Iterator[Pending]:
            return self._seen(self._places[0].waiting())

        def _seen(self, seen: list[tuple[str, str]]) -> Iterator[Pending]:
            if seen:
                assert drain("default", valkey.url).moved == 1
            return self._read(self._places[0], seen)

    json_queue(plain).enqueue(shop.add, 1, 2)
    if was_taken:
        first = _RqSource(valkey.url, "default", "default")
        assert first.take(list(first.pending())) == [True]
        first.close()

    drained = drain_from(Overtaken(valkey.url, "default", "default"), dry_run=False)

    assert (drained.moved, drained.refused, drained.gone) == (0, {}, 1)
    assert plain.llen("rq:queue:default") == 0


@pytest.mark.parametrize("point", ["dispatch.before", "dispatch.after"])
def test_a_drain_that_died_is_gone_on_with(
    ledger: SqlLedger, plain: Redis, valkey: Valkey, point: str
) -> None:
    jobs = [json_queue(plain).enqueue(shop.add, n, n) for n in range(3)]

    def die(reached: str) -> None:
        if reached == point:
            raise KilledError

    HOOKS.append(die)
    try:
        with pytest.raises(KilledError):
            drain("default", valkey.url)
    finally:
        HOOKS.remove(die)
    assert plain.llen("rq:queue:default") == 0

    again, twice = drain("default", valkey.url), drain("default", valkey.url)

    is_recorded = point.endswith("after")
    assert (again.moved, again.existing) == ((0, 3) if is_recorded else (3, 0))
    assert (twice.moved, twice.existing) == (0, 0)
    assert count_of(ledger) == len(jobs)
    assert not any(Job.exists(each.id, plain) for each in jobs)


def count_of(ledger: SqlLedger) -> int:
    return len(list(ledger.list_jobs(limit=50)))


@pytest.mark.parametrize(
    ("number", "chunk"), [(300, 2), pytest.param(1000, 5, marks=pytest.mark.long)]
)
def test_each_runs_once_though_redis_is_lost_half_way(  # noqa: PLR0915, PLR0917 - one story; fixtures
    number: int,
    chunk: int,
    processes: Processes,
    second_valkey: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    sqlite_url: str,
) -> None:
    env = {
        **settings(second_valkey),
        "FAILSOFT_LEDGER_URL": sqlite_url,
        "FAILSOFT_JOBS": "failsoft.adoption.rq.jobs",
        "FAILSOFT_CALLABLES": FILES,
        "SHOP_CALLS": str(tmp_path / "calls"),
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    allow_callables([FILES])
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
    use_dispatcher(None)
    with Valkey(tmp_path / "plain", config={"appendonly": "yes"}) as lost:
        with Redis.from_url(lost.url) as client:
            queue = json_queue(client)
            queue.enqueue_many([Queue.prepare_data(files.write, (n,)) for n in range(number)])
        reached: list[str] = []

        def lose(point: str) -> None:
            reached.append(point)
            if reached.count("dispatch.before") == chunk:
                lost.stop()

        HOOKS.append(lose)
        try:
            with pytest.raises(EngineUnavailableError, match=f"{(chunk - 1) * CHUNK} were moved"):
                drain("default", lost.url)
        finally:
            HOOKS.remove(lose)
        lost.start()

        again, twice = drain("default", lost.url), drain("default", lost.url)

    assert (again.moved, again.existing) == (number - chunk * CHUNK, CHUNK)
    assert (twice.moved, twice.existing) == (0, 0)
    dispatcher = opened_dispatcher()
    assert dispatcher is not None
    dispatcher.close()
    use_dispatcher(None)
    worker = serving(processes, "failsoft", env={**env, "PYTHONPATH": str(Path.cwd())})
    calls = Path(env["SHOP_CALLS"])
    wait_until(
        lambda: calls.exists() and len(calls.read_text().split()) >= number, PATIENCE, worker.tail
    )
    assert worker.terminate() in {0, -15}, worker.tail
    counted = Counter(map(int, calls.read_text().split()))
    assert counted == Counter(range(number)), json.dumps(counted.most_common(3))
