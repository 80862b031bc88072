"""F51: two ledgers, such as production's and staging's, behind one namespace on one broker."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.findings import Level
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.doctor.namespace_checks import look_at_namespaces
from failsoft.worker.exit_codes import CONFIG
from failsoft.worker.wiring import App, build
from tests.deployments.deployment import PATIENCE, Deployment, Worker, installed_command
from tests.faults.support import ON_SQLITE, close
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.fault("F51")

WHAT_TO_DO = "set FAILSOFT_NAMESPACE"


@pytest.fixture
def other_url(tmp_path: Path, tables_on_sqlite: Path) -> str:
    """Another ledger, that has no id yet."""
    url = f"sqlite:///{shutil.copy(tables_on_sqlite, tmp_path / 'other.db')}"
    with closing(Database(url)) as database:
        upgrade(database)
    return url


@contextmanager
def other_app(url: str) -> Iterator[App]:
    app = build(load_settings(ledger_url=url))
    yield app
    close(app)


def ended_with(worker: Worker) -> int:
    return worker.process.wait()


@ON_SQLITE
@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
def test_a_second_ledgers_worker_is_refused_at_start(
    deployment: Deployment, other_url: str, engine: str
) -> None:
    deployment.wait_for(deployment.worker(engine, "threads"))

    second = deployment.worker(engine, "threads", FAILSOFT_LEDGER_URL=other_url)
    elsewhere = {"FAILSOFT_LEDGER_URL": other_url, "FAILSOFT_NAMESPACE": "other"}
    third = deployment.worker(engine, "threads", **elsewhere)

    assert ended_with(second) == CONFIG
    assert WHAT_TO_DO in second.process.output
    with closing(Database(other_url)) as database:
        live = SqlLedger(database).live_workers
        wait_until(lambda: [w.pid for w in live()] == [third.process.pid], PATIENCE, "the third")


@ON_SQLITE
def test_a_broker_that_is_silent_at_start_is_probed_when_it_is_back(
    deployment: Deployment, other_url: str, valkey: Valkey
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads"))
    valkey.freeze()

    words = (installed_command("failsoft"), "worker", "rq", "--queue", "threads")
    second = deployment.processes.start(*words, env={"FAILSOFT_LEDGER_URL": other_url})
    wait_until(lambda: "is lost: " in second.output, PATIENCE, "it tries in vain")
    valkey.thaw()

    assert second.wait() == CONFIG
    assert WHAT_TO_DO in second.output


@ON_SQLITE
def test_a_broker_that_lost_its_data_gets_the_mark_of_who_is_at_work_again(
    deployment: Deployment, valkey: Valkey
) -> None:
    rq = deployment.worker("rq", "threads")
    deployment.wait_for(rq)
    before = valkey.command("GET", "failsoft:ledger")

    valkey.wipe()
    marked = lambda: valkey.command("GET", "failsoft:ledger") == before  # noqa: E731
    wait_until(marked, PATIENCE, "the mark is back")

    assert before.decode() == deployment.app.ledger.ledger_id()
    assert rq.process.is_running


@ON_SQLITE
def test_a_dispatcher_offers_nothing_where_another_ledgers_workers_are(
    deployment: Deployment, other_url: str, valkey: Valkey
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads"))
    deployment.app.engines.owner("dramatiq")
    mine = deployment.dispatch(in_thread)

    with other_app(other_url) as other:
        theirs = other.dispatcher.dispatch(in_thread, Script())
        many = other.dispatcher.dispatch_many(in_thread, [Script(), Script()])
        other.dispatcher.flush()
        reasons = [each.reason for each in theirs.tries()]

        assert theirs.status() is JobState.SCHEDULED
        assert [each.handle and each.handle.status() for each in many] == [JobState.SCHEDULED] * 2
        assert any("another ledger's" in reason for reason in reasons)
        assert not other.engines.probe("rq").healthy
        ids = [theirs.id, *(each.handle.id for each in many if each.handle)]

    deployment.wait_for_ends(mine)
    stored = valkey.keys()
    assert not {key for key in stored if any(each in key for each in ids)}


@ON_SQLITE
def test_a_ledger_that_takes_the_others_place_is_given_the_namespace(
    deployment: Deployment, other_url: str
) -> None:
    deployment.dispatch(in_thread, engines=("rq",)).cancel()
    settings = load_settings(ledger_url=other_url)
    found = {each.check: each for each in look_at_namespaces(settings)}
    assert found["namespace rq"].level is Level.FAILURE
    assert "take-over" in found["namespace rq"].remedy

    words = (installed_command("failsoft"), "ledger", "take-over", "--json")
    taken = deployment.processes.start(*words, env={"FAILSOFT_LEDGER_URL": other_url})

    assert taken.wait() == 0
    assert {each.level for each in look_at_namespaces(settings)} == {Level.OK}
    with other_app(other_url) as other:
        job = other.dispatcher.dispatch(in_thread, Script(), delay=timedelta(hours=1))
        assert job.status() is JobState.SCHEDULED
        assert other.engines.probe("rq").healthy


def test_a_copy_of_a_ledger_gets_an_id_of_its_own_when_it_is_requested(other_url: str) -> None:
    with closing(Database(other_url)) as database:
        ledger = SqlLedger(database)
        before = ledger.ledger_id()
        upgrade(database)
        assert ledger.ledger_id() == before

        upgrade(database, new_id=True)

        assert ledger.ledger_id() not in (None, before)
