"""Tasks are dispatched as jobs, run in a worker, and shown as Django shows results."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from failsoft.api import DispatchError, ResultInvalidError
from failsoft.contrib.django import FailsoftBackend, FailsoftTask
from failsoft.contrib.django.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from failsoft.contrib.django.definition import TaskCall, declared_task
from failsoft.contrib.django.running import django_task
from failsoft.dispatcher import default_dispatcher
from failsoft.job_engine.records.states import JobState
from failsoft.worker.wiring import App
from tests.contrib.django.project.shop import tasks
from tests.contrib.django.working import attempt

READY, RUNNING, FAILED, SUCCESSFUL = (
    TaskResultStatus.READY,
    TaskResultStatus.RUNNING,
    TaskResultStatus.FAILED,
    TaskResultStatus.SUCCESSFUL,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"


def test_a_task_runs_and_its_result_is_read(app: App) -> None:
    result = tasks.add.enqueue(2, b=3)
    assert (result.status, result.args, result.kwargs) == (READY, [2], {"b": 3})

    assert attempt(app, result.id) is JobState.SUCCEEDED

    result.refresh()
    assert (result.status, result.return_value) == (SUCCESSFUL, 5)
    assert result.worker_ids == ["memory:boot-1"]
    assert result.started_at is not None
    assert result.finished_at is not None


def test_a_coroutine_is_a_task_and_enqueueing_is_awaited(app: App) -> None:
    result = asyncio.run(tasks.add_async.aenqueue(2, b=3))

    attempt(app, result.id)

    assert tasks.add_async.get_result(result.id).return_value == 5


def test_what_is_enqueued_is_what_is_read(app: App) -> None:
    result = tasks.add.using(priority=5, queue_name="data-sync").enqueue(1)

    assert tasks.add.get_result(result.id) == result
    job = app.ledger.get(result.id)
    assert (job.name, job.priority, job.queue) == ("django_task", 5, "data-sync")
    assert job.tags == ("tests.contrib.django.project.shop.tasks.add",)


def test_a_deferred_task_waits_for_its_time(app: App) -> None:
    moment = timezone.now() + timedelta(hours=1)

    result = tasks.add.using(run_after=moment).enqueue(1)

    assert app.ledger.get(result.id).run_at == moment
    assert tasks.add.get_result(result.id) == result


def test_a_task_that_raises_has_failed_at_once(app: App) -> None:
    result = tasks.fails.enqueue()

    assert attempt(app, result.id) is JobState.FAILED

    result.refresh()
    (error,) = result.errors
    assert result.status == FAILED
    assert error.exception_class is ValueError
    assert "of the task" in error.traceback
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


def test_each_failed_attempt_is_an_error_and_each_attempt_a_worker(app: App) -> None:
    result = tasks.fails_twice.enqueue()

    assert attempt(app, result.id, "boot-1") is JobState.SCHEDULED
    result.refresh()
    assert (result.status, len(result.errors)) == (READY, 1)
    assert attempt(app, result.id, "boot-2") is JobState.FAILED

    result.refresh()
    assert [each.exception_class for each in result.errors] == [LookupError, LookupError]
    assert result.worker_ids == ["memory:boot-1", "memory:boot-2"]
    assert result.attempts == 2


def test_the_backend_s_retries_hold_for_a_task_without_any(app: App) -> None:
    call = TaskCall(path=tasks.fails.module_path, args=[], kwargs={}, backend="joins")

    assert django_task.for_payload(call.model_dump_json()).retry.max_attempts == 2


def test_a_tasks_own_limits_are_those_of_its_job(app: App) -> None:
    job = app.ledger.get(tasks.limited.enqueue().id)

    assert django_task.for_payload(job.payload).timeout == timedelta(seconds=7)
    assert "slow" in job.tags


def test_a_result_that_json_has_not_fails_the_task(app: App) -> None:
    result = tasks.returns_what_json_has_not.enqueue()

    attempt(app, result.id)

    result.refresh()
    assert [each.exception_class for each in result.errors] == [TypeError]


def test_a_task_gets_its_context(app: App) -> None:
    result = tasks.says_who.enqueue()

    attempt(app, result.id)

    result.refresh()
    assert result.return_value == [result.id, 1, ["memory:boot-1"]]


def test_a_task_with_steps_sleeps_and_goes_on_after_its_last_step(app: App) -> None:
    result = tasks.in_steps.enqueue(20)

    assert attempt(app, result.id) is JobState.SCHEDULED
    result.refresh()
    assert (result.status, result.errors) == (READY, [])
    assert attempt(app, result.id, "boot-2") is JobState.SUCCEEDED

    result.refresh()
    assert result.return_value == 42
    assert [step.name for step in app.ledger.steps(result.id)] == ["first", "a while", "second"]


def test_a_held_job_is_running_and_says_why(app: App) -> None:
    result = tasks.returns_too_much.enqueue()

    assert attempt(app, result.id) is JobState.HELD

    result.refresh()
    assert result.status == RUNNING
    assert [each.exception_class for each in result.errors] == [ResultInvalidError]


def test_a_cancelled_task_has_failed_with_that_error(app: App) -> None:
    result = tasks.add.enqueue(1)
    default_dispatcher().handle(declared_task, result.id).cancel()

    result.refresh()

    assert result.status == FAILED
    assert [each.exception_class.__name__ for each in result.errors] == ["JobCancelledError"]


def test_signals_are_sent_when_it_is_enqueued_begun_and_over(app: App) -> None:
    seen = list[tuple[str, object, str]]()

    def note(kind: str) -> object:
        def receive(sender: object, task_result: object, **kwargs: object) -> None:
            seen.append((kind, sender, str(task_result.status)))  # type: ignore[attr-defined]

        return receive

    receivers = {
        signal: note(name)
        for name, signal in (
            ("enqueued", task_enqueued),
            ("started", task_started),
            ("finished", task_finished),
        )
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver)
    try:
        result = tasks.fails_twice.enqueue()
        attempt(app, result.id)
        attempt(app, result.id)
        attempt(app, tasks.add.enqueue(1).id)
    finally:
        for signal, receiver in receivers.items():
            signal.disconnect(receiver)

    assert {sender for _, sender, _ in seen} == {FailsoftBackend}
    assert [(kind, status) for kind, _, status in seen] == [
        ("enqueued", "READY"),
        ("started", "RUNNING"),
        ("started", "RUNNING"),
        ("finished", "FAILED"),
        ("enqueued", "READY"),
        ("started", "RUNNING"),
        ("finished", "SUCCESSFUL"),
    ]


@pytest.mark.parametrize(
    ("path", "backend"),
    [
        ("tests.contrib.django.project.shop.tasks.no_task", "default"),
        ("os.getcwd", "default"),
        ("tests.contrib.django.project.shop.tasks.add", "missing"),
    ],
)
def test_what_is_no_task_of_the_backend_is_refused_and_not_called(
    app: App, path: str, backend: str
) -> None:
    call = TaskCall(path=path, args=[], kwargs={}, backend=backend)
    handle = default_dispatcher().dispatch(declared_task, call)

    assert attempt(app, handle.id) is JobState.FAILED

    error = handle.job().error
    assert error is not None
    assert error.type == "failsoft.contrib.django.definition.RefusedTaskError"


def test_a_task_that_is_not_deployed_yet_waits(app: App) -> None:
    call = TaskCall(path="tests.contrib.django.tomorrow.add", args=[], kwargs={}, backend="default")
    handle = default_dispatcher().dispatch(declared_task, call)

    assert attempt(app, handle.id) is JobState.SCHEDULED


def test_the_same_key_makes_no_second_job_and_is_the_tasks_own(app: App) -> None:
    first = tasks.add.using(idempotency_key="k").enqueue(1)

    assert tasks.add.using(idempotency_key="k").enqueue(1).id == first.id
    assert tasks.add_async.using(idempotency_key="k").enqueue(1).id != first.id


def test_a_unique_task_is_there_once_for_the_same_arguments(app: App) -> None:
    first = tasks.one_at_a_time.enqueue(1)

    assert tasks.one_at_a_time.enqueue(1).id == first.id
    assert tasks.one_at_a_time.enqueue(2).id != first.id


def test_results_of_others_are_not_there(app: App) -> None:
    result = tasks.add.enqueue(1)

    for wanted in ("123", "no id of a job", "x" * 65):
        with pytest.raises(TaskResultDoesNotExist):
            tasks.add.get_result(wanted)
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["joins"].get_result(result.id)


def test_steps_without_a_context_or_in_a_coroutine_are_refused() -> None:
    with pytest.raises(InvalidTask, match="takes_context=True with steps=True"):
        task(steps=True)(tasks.no_task)
    with pytest.raises(TypeError, match="nonsense"):
        tasks.add.using(nonsense=1)


def test_what_json_cannot_carry_is_refused_and_nothing_is_stored(app: App) -> None:
    before = app.ledger.counts()

    with pytest.raises(TypeError, match="Unsupported type"):
        tasks.add.enqueue(object())
    with pytest.raises(DispatchError):
        tasks.add.enqueue(float("nan"))

    assert app.ledger.counts() == before


def test_a_task_is_one_of_ours() -> None:
    assert isinstance(tasks.add, FailsoftTask)
