"""What carries a bulk on: a worker, or the console alone where none is there."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from failsoft.console import Actor, console
from failsoft.console.bulk_thread import PATIENCE, BulkThread
from failsoft.job_engine.jobs.scheduled.bulk_action import (
    BulkTurns,
    CarryOnBulk,
    bulk_action,
    job_id_of,
)
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.ports.console import BulkAction, BulkRecord, BulkState, NewBulk
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from failsoft.testing.ledger_suite.fixtures import MOMENT, offered, waiting
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.console_environment import own_environment
from tests.console.conftest import SAME_ORIGIN, Surroundings
from tests.servers.processes import PATIENCE as AT_MOST
from tests.servers.processes import wait_until
from tests.unit.job_engine.jobs.fakes import Job
from tests.unit.support.memory_app import HOUR, MemoryApp

BULK = "bulk-1"
#: No server listens there.
NOWHERE = {"redis_url": "redis://127.0.0.1:1/0", "amqp_url": "amqp://127.0.0.1:1"}
THREAD = "failsoft-bulks"


class Watched:
    """A ledger of which it is noted which threads take the turns of bulks."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.turned_by: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def bulk_turn(self, bulk_id: str) -> BulkRecord:
        self.turned_by.add(threading.current_thread().name)
        record: BulkRecord = self._ledger.bulk_turn(bulk_id)
        return record


@pytest.fixture
def app() -> MemoryApp:
    app = MemoryApp()
    for _ in range(5):
        waiting(app.ledger)
    app.clock.advance(MOMENT)
    app.ledger.bulk_start(NewBulk(BULK, BulkAction.CANCEL, {}, 5, "ada", "cli ada"))
    return app


def begun(app: MemoryApp) -> tuple[BulkThread, Watched]:
    watched = Watched(app.ledger)
    thread = BulkThread(clock=app.clock)
    thread.begin(Surroundings(cast("SqlLedger", watched), app=app), BULK)
    return thread, watched


def is_done(app: MemoryApp) -> Callable[[], bool]:
    return lambda: app.ledger.bulk(BULK).state is BulkState.DONE


def is_offered(app: MemoryApp) -> bool:
    return bool(app.rq.messages(queue_profile(bulk_action.queue.name)))


def test_a_worker_carries_a_bulk_on_where_one_serves_its_queue(app: MemoryApp) -> None:
    app.worker("rq", bulk_action.queue.name)
    thread, watched = begun(app)
    wait_until(lambda: is_offered(app), AT_MOST, "the job is offered")

    CarryOnBulk(watched, app.clock)(BulkTurns(bulk_id=BULK), Job(clock=app.clock).context())
    thread.stop()

    assert is_done(app)()
    assert watched.turned_by == {threading.current_thread().name}


def test_without_such_a_worker_its_own_thread_does_and_nothing_is_dispatched(
    app: MemoryApp,
) -> None:
    app.worker("rq", "default")
    _, watched = begun(app)
    wait_until(is_done(app), AT_MOST, "the bulk is through")

    assert watched.turned_by == {THREAD}
    assert not app.ledger.list_jobs(name=bulk_action.name)


def test_a_bulk_that_no_worker_moves_on_is_carried_on_here(app: MemoryApp) -> None:
    app.worker("rq", bulk_action.queue.name)
    _, watched = begun(app)
    wait_until(lambda: is_offered(app), AT_MOST, "the job is offered")
    assert not watched.turned_by

    app.clock.advance(PATIENCE)
    wait_until(is_done(app), AT_MOST, "the bulk is through")

    assert watched.turned_by == {THREAD}
    assert app.ledger.get(job_id_of(BULK)).state is JobState.OFFERED


def test_the_end_of_a_console_ends_the_turns_and_the_next_one_goes_on(app: MemoryApp) -> None:
    app.worker("rq", bulk_action.queue.name)
    surroundings = Surroundings(cast("SqlLedger", app.ledger), app=app)
    served = console(environment=surroundings, authenticate=lambda _: Actor.of("ada", "operator"))
    of_others = threads()
    with TestClient(served) as client:
        client.get(f"/bulks/{BULK}")
        wait_until(lambda: is_offered(app), AT_MOST, "the job is offered")
        [thread] = threads() - of_others
        assert thread.is_alive()

    assert not thread.is_alive()
    assert app.ledger.bulk(BULK).state is BulkState.RUNNING
    app.clock.advance(2 * HOUR)
    with TestClient(served) as client:
        client.get(f"/bulks/{BULK}")
        wait_until(is_done(app), AT_MOST, "the bulk is through")


def threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == THREAD}


def test_a_bulk_goes_through_with_every_worker_and_both_engines_gone(
    make_ledger: Callable[[], SqlLedger],
) -> None:
    ledger = make_ledger()
    jobs = [offered(ledger, "rq").id, offered(ledger, "dramatiq").id, waiting(ledger).id]
    url = ledger.database.url.render_as_string()
    environment = own_environment(load_settings(ledger_url=url, _env_file=None, **NOWHERE))
    app = console(environment=environment, authenticate=lambda request: Actor.of("ada", "operator"))
    client = TestClient(app, headers=SAME_ORIGIN, follow_redirects=False)

    given = {"action": "cancel", "filter": "", "expected": "3", "typed": "3"}
    begun_at = client.post("/bulk", data=given).headers["location"]
    bulk_id = begun_at.rpartition("/")[2]
    wait_until(lambda: ledger.bulk(bulk_id).state == "done", AT_MOST, "the bulk is through")

    assert {ledger.get(each).state for each in jobs} == {JobState.CANCELLED}
    assert client.get(begun_at).status_code == 200
    environment.close()
