"""`FailsoftTask` as the class of an app's tasks: call sites and functions as they are."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import Retry, TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError

from failsoft.adoption.celery import FailsoftTask
from failsoft.adoption.celery.call import TaskCall, celery_task
from failsoft.api import (
    FailsoftError,
    JobState,
    OptionInvalidError,
    PayloadInvalidError,
    default_dispatcher,
    dispatch_job,
)
from failsoft.testkit.kit import Testkit
from tests.adoption.apps import tasks


@pytest.fixture
def failsoft(failsoft: Testkit) -> Testkit:
    tasks.app.set_current()
    from failsoft.adoption.celery import jobs  # noqa: PLC0415 - it imports what is allowed

    failsoft.register(jobs.celery_task, jobs.celery_failure_callback)
    tasks.done.clear()
    tasks.app.finalize()
    return failsoft


def ended(failsoft: Testkit) -> None:
    for _ in range(4):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(minutes=1)


def test_a_task_runs_with_its_arguments(failsoft: Testkit) -> None:
    result = tasks.add.delay(1, two=2)
    assert result.state == "PENDING"
    with pytest.raises(CeleryTimeoutError):
        result.get(timeout=0)

    failsoft.drain()

    assert tasks.done == [(1, 2)]
    assert result.get(timeout=1) == 3
    assert result.successful()
    assert tasks.app.AsyncResult(result.id).get() == 3


def test_a_signature_is_dispatched(failsoft: Testkit) -> None:
    result = tasks.add.s(1).delay(2)
    tasks.add.signature((3, 4), countdown=60).apply_async(task_id="later")

    failsoft.drain()
    assert result.get() == 3
    failsoft.travel(minutes=2)
    failsoft.drain()

    assert tasks.app.AsyncResult("later").get() == 7


@pytest.mark.parametrize(
    "options",
    [
        lambda moment: {"countdown": 60},
        lambda moment: {"eta": moment},
        lambda moment: {"eta": moment.replace(tzinfo=None).isoformat()},
    ],
)
def test_a_task_waits_for_its_time(
    failsoft: Testkit, options: Callable[[datetime], dict[str, Any]]
) -> None:
    tasks.add.apply_async((1, 2), **options(datetime.now(UTC) + timedelta(minutes=1)))

    failsoft.drain()
    assert tasks.done == []
    failsoft.travel(minutes=2)
    failsoft.drain()

    assert tasks.done == [(1, 2)]


def test_a_task_that_expires_is_revoked(failsoft: Testkit) -> None:
    failsoft.stop_workers("rq")
    failsoft.stop_workers("dramatiq")
    result = tasks.add.apply_async((1, 2), expires=60)

    failsoft.travel(minutes=3)

    assert result.state == "REVOKED"
    with pytest.raises(TaskRevokedError):
        result.get()


def test_routes_and_limits_are_the_jobs(failsoft: Testkit) -> None:
    from failsoft.adoption.celery import jobs  # noqa: PLC0415 - see above

    result = tasks.sync.apply_async(((1, 2),), priority=7)

    failsoft.drain()

    job = default_dispatcher().handle(celery_task, result.id).job()
    assert (job.queue, job.priority) == ("data-sync", 7)
    bound = jobs.celery_task.for_payload(job.payload)
    assert bound.timeout_on("data-sync") == timedelta(seconds=60)
    assert tasks.done == [[1, 2]]


def test_retry_gives_up_when_none_is_left(failsoft: Testkit) -> None:
    result = tasks.stubborn.delay(1)

    failsoft.drain(raise_on_failure=False)
    assert result.state == "RETRY"
    ended(failsoft)

    name = "tests.adoption.apps.tasks.stubborn"
    assert tasks.done == [(result.id, n, name) for n in range(3)]
    with pytest.raises(ValueError, match="number 1"):
        result.get()
    assert "number 1" in result.traceback


def test_a_task_is_retried_by_itself(failsoft: Testkit) -> None:
    result = tasks.automatic.delay()

    ended(failsoft)

    assert tasks.done == ["automatic"] * 2
    assert result.failed()


def test_a_task_that_only_raises_is_not_tried_again(failsoft: Testkit) -> None:
    tasks.fail.delay(1)

    ended(failsoft)

    assert tasks.done == ["try 1"]


def test_the_methods_of_its_class_are_called(failsoft: Testkit) -> None:
    for how in ("go", "retry", "fail"):
        tasks.watched.delay(how)

    ended(failsoft)

    expected = ["on_failure for good", "on_retry once more", "on_success go", "on_success retry"]
    assert sorted(map(str, tasks.done)) == expected


def test_a_task_may_be_ignored_or_drop_its_result(failsoft: Testkit) -> None:
    ignored, dropped = tasks.ignore.delay(), tasks.whole.delay()

    failsoft.drain()

    assert (ignored.get(), dropped.get()) == (None, None)


def test_links_are_called_with_the_result_once(failsoft: Testkit) -> None:
    link = [tasks.after.s(word="told"), tasks.after.si("nothing")]

    tasks.add.apply_async((1, 2), link=link)
    failsoft.drain()

    assert tasks.done == [(1, 2), ("after", 3, "told"), ("after", "nothing", "")]


def test_link_error_is_called_when_it_has_failed_for_good(failsoft: Testkit) -> None:
    errbacks = [tasks.failed.s(), tasks.failed_id.s(), tasks.again.si("again")]

    result = tasks.fail.apply_async((5,), link_error=errbacks)
    ended(failsoft)

    assert tasks.done == [
        "try 5",
        (result.id, "ValueError: number 5"),
        ("id", result.id),
        "again",
    ]


def test_a_chain_is_a_chain(failsoft: Testkit) -> None:
    result = chain(tasks.add.s(1, 2), tasks.add.s(10), tasks.add.si(5, 5)).apply_async()

    failsoft.drain()

    assert tasks.done == [(1, 2), (3, 10), (5, 5)]
    assert result.get() == 10
    assert result.parent.get() == 13


def test_a_group_has_its_results(failsoft: Testkit) -> None:
    result = group(tasks.add.s(n, n) for n in range(3)).apply_async()

    failsoft.drain()

    assert result.get() == [0, 2, 4]


def test_a_chord_is_a_group_with_a_completion(failsoft: Testkit) -> None:
    result = chord([tasks.add.s(n, n) for n in range(3)])(tasks.total.s())

    failsoft.drain()

    assert result.get() == 6


def test_a_chord_whose_header_fails_has_no_body(failsoft: Testkit) -> None:
    result = chord([tasks.add.s(1, 1), tasks.fail.s(1)])(tasks.total.s())

    ended(failsoft)

    assert result.state == "REVOKED"


def test_a_call_without_a_job_is_a_call(failsoft: Testkit) -> None:
    assert tasks.add(1, 2) == 3
    with pytest.raises(ValueError, match="number 1"):
        tasks.stubborn(1)


def test_a_task_that_is_not_declared_waits_for_a_worker_that_has_it(failsoft: Testkit) -> None:
    handle = dispatch_job(celery_task, TaskCall(name="later", args=[], kwargs={}))

    failsoft.drain(raise_on_failure=False)

    assert handle.status() is JobState.SCHEDULED
    handle.cancel()


def test_a_task_is_found_in_any_thread(failsoft: Testkit) -> None:
    from failsoft.adoption.celery.jobs import task_of  # noqa: PLC0415 - see above

    with ThreadPoolExecutor(1) as other:
        found = other.submit(task_of, tasks.add.name).result()

    assert (found.name, found.run) == (tasks.add.name, tasks.add.run)


def test_a_task_of_celerys_own_is_held(failsoft: Testkit) -> None:
    handle = dispatch_job(celery_task, TaskCall(name="celery.backend_cleanup", args=[], kwargs={}))

    failsoft.drain(raise_on_failure=False)

    assert handle.status() is JobState.HELD


def eager() -> None:
    app = Celery("eager", task_cls=FailsoftTask, set_as_current=False)
    app.conf.task_always_eager = True
    app.task(one, name="eager").delay()


def one(*args: object) -> None:
    """What a task calls."""


def chord_elsewhere() -> None:
    app = Celery("other", task_cls=FailsoftTask, set_as_current=False, backend="cache+memory://")
    task = app.task(one, name="one")
    chord([task.s()], app=app)(task.s())


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: tasks.add.delay(1, {2}), PayloadInvalidError, "argument 'two' of add, got set"),
        (lambda: tasks.add.delay(datetime.now(UTC), 1), PayloadInvalidError, "'one' of add"),
        (lambda: tasks.add.delay(1), TypeError, "missing"),
        (
            lambda: tasks.add.apply_async((1, 2), serializer="pickle"),
            OptionInvalidError,
            "serializer json, got 'pickle'",
        ),
        (
            lambda: tasks.add.apply_async((1, 2), headers={"a": 1}),
            OptionInvalidError,
            "no headers",
        ),
        (lambda: tasks.add.apply_async((1, 2), queue="nowhere"), OptionInvalidError, "'nowhere'"),
        (
            lambda: tasks.add.apply_async((1, 2), link=chain(tasks.add.s(1), tasks.add.s(2))),
            OptionInvalidError,
            "a task as link, got a chain",
        ),
        (
            lambda: chain(tasks.add.s(1, 2), tasks.add.s(1).set(countdown=5)).apply_async(),
            OptionInvalidError,
            "a link of a chain without countdown",
        ),
        (
            lambda: chain(tasks.add.s(1, 2), group(tasks.add.s(1), tasks.add.s(2))).apply_async(),
            OptionInvalidError,
            "a task as a link of a chain, got a group",
        ),
        (
            lambda: chord([chain(tasks.add.s(1, 1), tasks.add.s(1))])(tasks.total.s()),
            OptionInvalidError,
            "canvas of its own",
        ),
        (eager, OptionInvalidError, "task_always_eager"),
        (chord_elsewhere, OptionInvalidError, "no result_backend"),
        (lambda: tasks.add.update_state("x", "BUSY"), OptionInvalidError, "state .* 'BUSY'"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_by_name(
    failsoft: Testkit, call: Callable[[], object], kind: type[FailsoftError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        call()

    assert not failsoft.dispatched()


def test_a_retry_with_other_arguments_is_refused(failsoft: Testkit) -> None:
    tasks.add.push_request(id="x", called_directly=False, retries=0)
    try:
        with pytest.raises(OptionInvalidError, match="arguments and options of its job"):
            tasks.add.retry(args=(3, 4))
        with pytest.raises(Retry):
            tasks.add.retry()
        assert isinstance(tasks.add.retry(throw=False), Retry)
    finally:
        tasks.add.pop_request()
