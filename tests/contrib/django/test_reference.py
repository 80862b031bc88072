"""Behaviours of the reference backend, django-tasks-db, that hold here, too: see REFERENCE.md."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from failsoft.contrib.django.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
)
from failsoft.dispatcher import default_dispatcher
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.states import JobState
from failsoft.worker.wiring import App
from tests.contrib.django.project.shop import tasks
from tests.contrib.django.working import LEASE, attempt


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_a_priority_is_kept(app: App, priority: int) -> None:
    result = tasks.add.using(priority=priority).enqueue(1)

    assert app.ledger.get(result.id).priority == priority
    assert tasks.add.get_result(result.id).task.priority == priority


@pytest.mark.parametrize("priority", [-101, 101])
def test_a_priority_out_of_range_is_refused(app: App, priority: int) -> None:
    before = app.ledger.counts()

    with pytest.raises(InvalidTask):
        tasks.add.using(priority=priority)

    assert app.ledger.counts() == before


@pytest.mark.parametrize("is_async", [False, True])
def test_a_task_is_checked_when_it_is_enqueued(app: App, *, is_async: bool) -> None:
    wrong = replace(tasks.add)
    object.__setattr__(wrong, "queue_name", "unknown")
    before = app.ledger.counts()

    with pytest.raises(InvalidTask):
        asyncio.run(wrong.aenqueue(1)) if is_async else wrong.enqueue(1)

    assert app.ledger.counts() == before


def test_a_moment_in_another_zone_is_the_same_moment(app: App) -> None:
    with timezone.override("Asia/Tokyo"):
        moment = timezone.localtime() + timedelta(hours=1)
        result = tasks.add.using(run_after=moment).enqueue(1)

    assert app.ledger.get(result.id).run_at == moment.astimezone(UTC)


def test_a_task_in_the_past_is_due(app: App) -> None:
    result = tasks.add.using(run_after=datetime(2020, 1, 1, tzinfo=UTC)).enqueue(1)

    assert result.id in {job.id for job in app.ledger.due(limit=100)}


@pytest.mark.parametrize("wanted", ["123", "no id of a job", "x" * 65])
def test_results_that_are_not_there_are_not_there_for_coroutines(wanted: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        asyncio.run(tasks.add.aget_result(wanted))


def test_a_result_is_refreshed_in_a_coroutine(app: App) -> None:
    result = tasks.add.enqueue(2, b=3)
    attempt(app, result.id)

    async def refreshed() -> TaskResultStatus:
        await result.arefresh()
        return result.status

    assert asyncio.run(refreshed()) == TaskResultStatus.SUCCESSFUL


def test_what_another_connection_enqueues_is_found(app: App) -> None:
    ids = list[str]()

    def enqueue() -> None:
        ids.append(tasks.add.enqueue(1).id)
        connection.close()

    thread = threading.Thread(target=enqueue)
    thread.start()
    thread.join()

    assert tasks.add.get_result(ids[0]).status == TaskResultStatus.READY


def test_a_task_is_for_one_worker(app: App) -> None:
    job = app.ledger.get(tasks.add.enqueue(1).id)
    tickets = [
        Ticket(job.id, job.epoch, "memory", job.queue, claim * 32, worker, LEASE)
        for claim, worker in (("a", "boot-1"), ("b", "boot-2"))
    ]

    assert [app.ledger.claim(ticket) is None for ticket in tickets] == [False, True]


@pytest.mark.parametrize(
    ("name", "raised"), [("exits", "SystemExit"), ("interrupts", "KeyboardInterrupt")]
)
def test_a_task_that_would_end_its_process_has_failed(app: App, name: str, raised: str) -> None:
    result = getattr(tasks, name).enqueue()

    assert attempt(app, result.id) is JobState.FAILED

    result.refresh()
    (error,) = result.errors
    assert error.exception_class is RuntimeError
    assert f"the job raised {raised}" in error.traceback


def test_a_task_is_for_its_backend(app: App) -> None:
    result = tasks.joined.enqueue(1)

    assert tasks.joined.get_result(result.id).backend == "joins"
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result.id)


def test_it_is_a_row_before_anything_runs_it(app: App) -> None:
    result = tasks.add.enqueue(1)

    assert default_dispatcher().holds(result.id)
    assert result.started_at is None
