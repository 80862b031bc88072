"""What waits at plain Celery becomes jobs, each once."""

from collections.abc import Iterator

import pytest
from celery import Celery, chain

from failsoft.adoption.celery.drain import drain
from failsoft.api import EngineUnavailableError
from failsoft.testkit.kit import Testkit
from tests.adoption.apps import tasks
from tests.servers.valkey import Valkey

TASKS = "tests.adoption.apps.tasks"


@pytest.fixture
def failsoft(failsoft: Testkit) -> Testkit:
    tasks.app.set_current()
    tasks.app.finalize()
    from failsoft.adoption.celery import jobs  # noqa: PLC0415 - it imports what is allowed

    failsoft.register(jobs.celery_task, jobs.celery_failure_callback)
    tasks.done.clear()
    return failsoft


@pytest.fixture
def plain(valkey: Valkey) -> Iterator[Celery]:
    app = Celery("plain", broker=valkey.url, set_as_current=False)
    app.conf.accept_content = ["json", "pickle"]
    yield app
    app.close()


def test_what_waits_becomes_jobs_once(failsoft: Testkit, plain: Celery, valkey: Valkey) -> None:
    add = plain.signature(f"{TASKS}.add")
    plain.send_task(f"{TASKS}.add", (1, 2))
    plain.send_task(f"{TASKS}.again", ("later",), countdown=600)
    chain(add.clone((3, 4)), add.clone((10,)), app=plain).apply_async()
    plain.send_task(f"{TASKS}.fail", (5,), link_error=plain.signature(f"{TASKS}.failed_id"))

    looked = drain("celery", valkey.url, dry_run=True)
    assert (looked.moved, failsoft.dispatched()) == (4, [])
    drained, twice = drain("celery", valkey.url), drain("celery", valkey.url)

    assert (drained.moved, drained.refused, twice.moved, twice.existing) == (4, {}, 0, 0)
    for _ in range(3):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(minutes=1)
    told = [each for each in tasks.done if isinstance(each, tuple) and each[0] != "id"]
    assert sorted(map(str, told)) == ["(1, 2)", "(3, 4)", "(7, 10)"]
    assert tasks.done.count("try 5") == 1
    assert sum(str(each).startswith("('id'") for each in tasks.done) == 1
    assert "later" not in tasks.done
    failsoft.travel(minutes=10)
    failsoft.drain()
    assert "later" in tasks.done


def test_what_cannot_be_moved_stays_and_says_why(
    failsoft: Testkit, plain: Celery, valkey: Valkey
) -> None:
    pickled = plain.send_task(f"{TASKS}.add", (1, {2}), serializer="pickle")
    unknown = plain.send_task("unknown")
    body = plain.signature(f"{TASKS}.total")
    plain.send_task(f"{TASKS}.add", (1, 1), group_id="group", chord=body)

    drained, again = drain("celery", valkey.url), drain("celery", valkey.url)

    assert "x-python-serialize, which is never read" in drained.refused[pickled.id]
    assert "declared task, got 'unknown'" in drained.refused[unknown.id]
    assert any("a task of no chord" in each for each in drained.refused.values())
    assert (drained.moved, drained.refused_count, again.refused_count) == (0, 3, 3)
    assert failsoft.dispatched() == []


def test_a_broker_that_is_away_is_said(failsoft: Testkit) -> None:
    with pytest.raises(EngineUnavailableError, match="a broker that answers"):
        drain("celery", "redis://127.0.0.1:1/0")
