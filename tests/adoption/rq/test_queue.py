"""`FailsoftQueue` in place of `rq.Queue`: call sites and functions as they are."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Callback, Queue, Repeat, Retry
from rq.decorators import job
from rq.exceptions import DuplicateJobError
from rq.job import Dependency, JobStatus

from failsoft.adoption.rq import FailsoftQueue
from failsoft.api import (
    FailsoftError,
    JobFailedError,
    JobState,
    OptionInvalidError,
    PayloadInvalidError,
    UnknownQueueError,
    dispatch_job,
)
from failsoft.job_engine.definitions.callables import CallableRefusedError, allow_callables
from failsoft.testkit.kit import Testkit
from tests.adoption.apps import shop

SHOP = "tests.adoption.apps.shop"


@pytest.fixture
def failsoft(failsoft: Testkit) -> Testkit:
    # Imported here: it reads the modules that are allowed.
    from failsoft.adoption.rq import jobs  # noqa: PLC0415 - see above

    failsoft.register(jobs.rq_function, jobs.rq_failure_callback)
    return failsoft


@pytest.fixture
def queue(failsoft: Testkit) -> FailsoftQueue:
    return FailsoftQueue("default")


def test_a_function_runs_with_its_arguments(failsoft: Testkit, queue: FailsoftQueue) -> None:
    job = queue.enqueue(shop.note, 1, two=[2, {"three": None}])
    assert job.get_status() is JobStatus.QUEUED

    failsoft.drain()

    assert shop.done == [((1,), {"two": [2, {"three": None}]})]
    assert job.return_value() == "noted"
    assert job.is_finished
    assert (job.origin, job.func_name, job.args) == ("default", f"{SHOP}.note", [1])


@pytest.mark.parametrize(
    ("path", "args", "result"),
    [
        (f"{SHOP}.add", (1, 2), 3),
        (f"{SHOP}.price", (), {"total": "7.50"}),
        (f"{SHOP}.wait", (), "waited"),
        (f"{SHOP}.wrapped", (1,), "noted"),
        (f"{SHOP}.Mailer.post", ("ada",), "posted to ada"),
    ],
)
def test_what_a_function_returns_is_the_jobs_result(  # noqa: PLR0917 - parameters
    failsoft: Testkit, queue: FailsoftQueue, path: str, args: tuple[object, ...], result: object
) -> None:
    job = queue.enqueue(path, *args)

    failsoft.drain()

    assert job.return_value() == result


def test_the_decorator_of_rq_takes_the_queue(failsoft: Testkit, queue: FailsoftQueue) -> None:
    adding = job(queue, connection=Redis(port=1), timeout=30)(shop.add)

    enqueued: Any = adding.enqueue(3, two=4)

    failsoft.drain()
    assert enqueued.return_value() == 7


def test_a_function_waits_for_its_moment(failsoft: Testkit, queue: FailsoftQueue) -> None:
    later = queue.enqueue_in(timedelta(hours=1), shop.add, 1, 2)
    latest = queue.enqueue_at(datetime.now(UTC) + timedelta(hours=3), shop.add, 3, 4)

    failsoft.travel(hours=2)
    failsoft.drain()

    assert later.return_value() == 3
    assert latest.get_status() is JobStatus.SCHEDULED
    latest.cancel()
    assert latest.is_canceled


def test_a_function_is_tried_as_often_as_it_was_to_be(
    failsoft: Testkit, queue: FailsoftQueue
) -> None:
    job = queue.enqueue(shop.fail, 1, retry=Retry(max=2, interval=[10, 60]))

    for _ in range(3):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(minutes=2)

    assert shop.done == ["try 1"] * 3
    assert job.is_failed
    assert "number 1" in (job.exc_info or "")
    with pytest.raises(JobFailedError, match="ValueError"):
        job.handle.result()


def test_a_function_without_a_retry_fails_at_once(failsoft: Testkit, queue: FailsoftQueue) -> None:
    job = queue.enqueue(shop.fail, 1)

    failsoft.drain(raise_on_failure=False)

    assert job.get_status() is JobStatus.FAILED


def test_a_failure_calls_its_callback_once(failsoft: Testkit, queue: FailsoftQueue) -> None:
    job = queue.enqueue(shop.fail, 1, on_failure=Callback(shop.follow), retry=Retry(max=1))

    for _ in range(3):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(minutes=2)

    assert shop.done == [
        "try 1",
        "try 1",
        (job.id, None, "FunctionFailedError", "ValueError: number 1"),
    ]


def test_get_current_job_is_a_stand_in(failsoft: Testkit, queue: FailsoftQueue) -> None:
    job = queue.enqueue(shop.report, meta={"from": "web"})

    failsoft.drain()

    assert job.return_value() == f"{job.id} web default"
    progress = job.handle.progress()
    assert progress is not None
    assert progress.note == '{"from": "web", "step": 2}'


def test_functions_that_depend_on_one_another_are_a_chain(
    failsoft: Testkit, queue: FailsoftQueue
) -> None:
    jobs = queue.enqueue_many(
        [
            Queue.prepare_data(shop.note, (1,), job_id="first"),
            Queue.prepare_data(shop.note, (9,)),
            Queue.prepare_data(shop.note, (2,), job_id="second", depends_on="first"),
            Queue.prepare_data(shop.note, (3,), depends_on=Dependency("second")),
        ]
    )

    failsoft.drain()

    assert sorted(each.id for each in jobs)[-2:] == ["first", "second"]
    assert sorted(shop.done, key=str) == [((n,), {}) for n in (1, 2, 3, 9)]
    order = [values for values in shop.done if values != ((9,), {})]
    assert order == [((n,), {}) for n in (1, 2, 3)]


def test_a_function_begins_after_one_that_was_enqueued_before(
    failsoft: Testkit, queue: FailsoftQueue
) -> None:
    first = queue.enqueue(shop.note, 1)
    second = queue.enqueue(shop.note, 2, depends_on=first, at_front=True)
    third = queue.enqueue(shop.note, 3, depends_on=Dependency(second.id), job_id="third")
    beside = queue.enqueue(shop.note, 4, depends_on=first.id)
    assert second.get_status() is JobStatus.SCHEDULED
    assert second.handle.job().priority == 100

    failsoft.drain()

    order = [values[0] for values, _ in shop.done]
    assert sorted(order) == [1, 2, 3, 4]
    assert order[0] == 1
    assert order.index(2) < order.index(3)
    late = queue.enqueue(shop.note, 5, depends_on=first)
    assert late.get_status() is JobStatus.QUEUED
    failsoft.drain()
    assert all(each.is_finished for each in (second, third, beside, late))
    again = queue.enqueue(shop.note, 3, depends_on=second, job_id="third")
    assert again.id == "third"
    assert len(failsoft.dispatched()) == 5


def test_what_depends_on_a_function_that_fails_is_cancelled(
    failsoft: Testkit, queue: FailsoftQueue
) -> None:
    first = queue.enqueue(shop.fail, 1)
    second = queue.enqueue(shop.note, 2, depends_on=first)

    failsoft.drain(raise_on_failure=False)
    late = queue.enqueue(shop.note, 3, depends_on=first)

    assert (second.is_canceled, late.is_canceled) == (True, True)
    assert shop.done == ["try 1"]


def test_functions_of_one_call_depend_on_each_other_and_on_earlier_ones(
    failsoft: Testkit, queue: FailsoftQueue
) -> None:
    first = queue.enqueue(shop.note, 1)
    queue.enqueue_many(
        [
            Queue.prepare_data(shop.note, (2,), job_id="two", depends_on=first.id),
            Queue.prepare_data(shop.note, (3,), job_id="three", depends_on="two"),
            # After one that has another one behind it already.
            Queue.prepare_data(shop.note, (4,), depends_on="two"),
        ]
    )

    failsoft.drain()

    order = [values[0] for values, _ in shop.done]
    assert order[:2] == [1, 2]
    assert sorted(order[2:]) == [3, 4]


def test_a_job_id_makes_one_job(failsoft: Testkit, queue: FailsoftQueue) -> None:
    first = queue.enqueue(shop.add, 1, 2, job_id="once")
    again = queue.enqueue(shop.add, 1, 2, job_id="once")

    assert (first.id, again.id) == ("once", "once")
    with pytest.raises(DuplicateJobError):
        queue.enqueue(shop.add, 1, 2, job_id="once", unique=True)
    failsoft.drain()
    found = queue.fetch_job("once")
    assert found is not None
    assert found.return_value() == 3
    assert queue.fetch_job("never") is None


class Unfit:
    pass


@pytest.mark.parametrize(
    ("enqueue", "kind", "said"),
    [
        (lambda q: q.enqueue(shop.add, 1, Unfit()), PayloadInvalidError, r"argument 'two' of add"),
        (lambda q: q.enqueue(shop.note, (1, 2)), PayloadInvalidError, "argument number 1 of note"),
        (lambda q: q.enqueue(shop.note, at=datetime.now(UTC)), PayloadInvalidError, "'at' of note"),
        (lambda q: q.enqueue(shop.Mailer().send), OptionInvalidError, "function of a module"),
        (lambda q: q.enqueue(shop.add, 1, 2, result_ttl=5), OptionInvalidError, "no result_ttl"),
        (
            lambda q: q.enqueue(shop.add, 1, 2, repeat=Repeat(times=2)),
            OptionInvalidError,
            "no repeat .*Every",
        ),
        (lambda q: q.enqueue(shop.add, 1, 2, job_timeout=-1), OptionInvalidError, "above zero"),
        (lambda q: q.enqueue(shop.add, depends_on="a"), OptionInvalidError, "in the ledger"),
        (
            lambda q: q.enqueue(shop.add, 1, 2, depends_on=["a", "b"]),
            OptionInvalidError,
            "one job to depend on, got 2; use dispatch_group",
        ),
        (
            lambda q: q.enqueue(shop.add, depends_on=Dependency("a", allow_failure=True)),
            OptionInvalidError,
            "without allow_failure",
        ),
        (
            lambda q: q.enqueue(shop.add, 1, 2, depends_on="a", ttl=5),
            OptionInvalidError,
            "none of ttl, unique",
        ),
        (
            lambda q: q.enqueue_in(timedelta(hours=1), shop.add, 1, 2, depends_on="a"),
            OptionInvalidError,
            "a moment or depends_on",
        ),
        (lambda q: q.enqueue("os.system", "true"), CallableRefusedError, "FAILSOFT_CALLABLES"),
        (len, OptionInvalidError, "needs Redis"),
        (lambda q: FailsoftQueue("nowhere"), UnknownQueueError, "declared queues"),
        (lambda q: FailsoftQueue(serializer="pickle"), OptionInvalidError, "without serializer"),
        (lambda q: FailsoftQueue(is_async=False), OptionInvalidError, "without is_async=False"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_by_name(  # noqa: PLR0917 - parameters
    failsoft: Testkit,
    queue: FailsoftQueue,
    enqueue: Callable[[FailsoftQueue], object],
    kind: type[FailsoftError],
    said: str,
) -> None:
    with pytest.raises(kind, match=said):
        enqueue(queue)

    assert not failsoft.dispatched()


@pytest.mark.parametrize("path", ["os.system", "tests.adoption.apps.forbidden.touch"])
def test_a_path_elsewhere_is_held_and_never_imported(failsoft: Testkit, path: str) -> None:
    from failsoft.adoption.rq.call import FunctionCall, rq_function  # noqa: PLC0415 - registered

    handle = dispatch_job(rq_function, FunctionCall(path=path, args=["true"], kwargs={}))

    failsoft.drain(raise_on_failure=False)

    job = handle.job()
    assert job.state is JobState.HELD
    assert job.error is not None
    assert "FAILSOFT_CALLABLES" in job.error.message
    assert "tests.adoption.apps.forbidden" not in sys.modules


@pytest.mark.parametrize(
    "name", ["operating_system.system", "nowhere", "get_current_job", "missing", "Mailer.send"]
)
def test_what_an_allowed_module_does_not_define_is_not_called(failsoft: Testkit, name: str) -> None:
    from failsoft.adoption.rq.call import FunctionCall, rq_function  # noqa: PLC0415 - registered

    handle = dispatch_job(rq_function, FunctionCall(path=f"{SHOP}.{name}", args=[], kwargs={}))

    failsoft.drain(raise_on_failure=False)

    # A worker that is deployed later may have it.
    assert handle.status() is JobState.SCHEDULED
    assert shop.done == []
    handle.cancel()


def test_nothing_is_allowed_unless_it_is_named(failsoft: Testkit, queue: FailsoftQueue) -> None:
    allow_callables([])
    job = queue.enqueue(shop.note)

    failsoft.drain(raise_on_failure=False)

    assert job.get_status() is JobStatus.DEFERRED
    assert shop.done == []
