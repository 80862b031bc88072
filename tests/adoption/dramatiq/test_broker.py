"""`FailsoftBroker` in place of a broker: actors and what sends to them as they are."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dramatiq
import dramatiq.broker
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.results import ResultFailure, ResultMissing, Results
from dramatiq.results.backends import StubBackend

from failsoft.adoption.dramatiq import FailsoftBroker
from failsoft.adoption.dramatiq.call import ActorCall, dramatiq_actor
from failsoft.api import (
    ConfigurationError,
    FailsoftError,
    JobState,
    OptionInvalidError,
    PayloadInvalidError,
    UnknownQueueError,
    default_dispatcher,
    dispatch_job,
)
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.testkit.kit import Testkit
from tests.adoption.apps import actors


@pytest.fixture
def failsoft(failsoft: Testkit) -> Iterator[Testkit]:
    before = dramatiq.broker.global_broker
    dramatiq.set_broker(actors.broker)
    # Imported here: it looks for the broker.
    from failsoft.adoption.dramatiq import jobs  # noqa: PLC0415 - see above

    failsoft.register(jobs.dramatiq_actor, jobs.dramatiq_failure_callback)
    actors.done.clear()
    yield failsoft
    dramatiq.broker.global_broker = before


def plain() -> list[object]:
    """Return what the actors did, without what their middleware saw."""
    return [each for each in actors.done if not str(each).startswith(("before ", "after "))]


def ended(failsoft: Testkit) -> None:
    for _ in range(4):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(minutes=1)


def test_an_actor_runs_with_its_arguments(failsoft: Testkit) -> None:
    message = actors.add.send(1, two=2)
    with pytest.raises(ResultMissing):
        message.get_result()

    failsoft.drain()

    assert plain() == [(1, 2)]
    assert message.get_result(block=True) == 3
    assert failsoft.dispatched()[0].id == message.message_id


def test_tuples_are_lists_as_in_dramatiqs_messages(failsoft: Testkit) -> None:
    actors.sync.send((1, 2))

    failsoft.drain()

    assert plain() == [[1, 2]]
    (job,) = failsoft.dispatched()
    record = default_dispatcher().handle(dramatiq_actor, job.id).job()
    assert (record.queue, record.priority) == ("data-sync", -10)


def test_a_message_waits_for_its_delay(failsoft: Testkit) -> None:
    actors.add.send_with_options(args=(1, 2), delay=60_000)

    failsoft.drain()
    assert plain() == []
    failsoft.travel(minutes=2)
    failsoft.drain()

    assert plain() == [(1, 2)]


def test_an_actor_is_tried_as_often_as_its_options_say(failsoft: Testkit) -> None:
    message = actors.fail.send(1)

    ended(failsoft)

    assert plain() == ["try 1"] * 3
    with pytest.raises(ResultFailure, match="number 1") as failed:
        message.get_result()
    assert failed.value.orig_exc_type == "ValueError"


def test_the_options_of_a_message_beat_its_actors(failsoft: Testkit) -> None:
    actors.fail.send_with_options(args=(1,), max_retries=0)

    ended(failsoft)

    assert plain() == ["try 1"]


def test_what_an_actor_throws_is_not_tried_again(failsoft: Testkit) -> None:
    message = actors.refuse.send()

    failsoft.drain(raise_on_failure=False)

    with pytest.raises(ResultFailure, match="never again"):
        message.get_result()


def test_a_predicate_decides_about_retries(failsoft: Testkit) -> None:
    actors.doubt.send()

    ended(failsoft)

    assert plain() == ["doubt"] * 2


def test_the_policies_of_an_actor_are_its_jobs(failsoft: Testkit) -> None:
    from failsoft.adoption.dramatiq.jobs import dramatiq_actor as bound  # noqa: PLC0415 - see above

    call = ActorCall(actor="fail", args=[1], kwargs={})
    found = bound.for_payload(call.model_dump_json())

    assert found.timeout_on(DEFAULT.name).total_seconds() == 90
    wait = found.retry.delay(1, ValueError())
    assert wait is not None
    assert 1 <= wait.total_seconds() <= 2


def test_the_callbacks_of_an_actor_are_sent_to_once(failsoft: Testkit) -> None:
    actors.add.send_with_options(args=(1, 2), on_success=actors.follow)
    actors.fail.send_with_options(args=(5,), on_failure=actors.follow, max_retries=1)

    ended(failsoft)

    assert plain().count(("add", 3)) == 1
    assert plain().count(("fail", {"type": "ValueError", "message": "number 5"})) == 1


def test_a_pipeline_is_a_chain(failsoft: Testkit) -> None:
    pipe = actors.add.message(1, 2) | actors.add.message(10) | actors.add.message(100)

    pipe.run()
    failsoft.drain()

    assert plain() == [(1, 2), (10, 3), (100, 13)]
    assert pipe.get_result() == 113


def test_each_actor_of_a_pipeline_has_its_queue(failsoft: Testkit) -> None:
    first = actors.sync.message([1])

    dramatiq.pipeline([first, actors.follow.message({"actor_name": "sync"})]).run()
    failsoft.drain()

    assert plain() == [[1], ("sync", None)]
    record = default_dispatcher().handle(dramatiq_actor, first.message_id).job()
    assert (record.queue, record.priority) == ("data-sync", -10)


def test_a_pipeline_may_ignore_what_was_before(failsoft: Testkit) -> None:
    second = actors.add.message_with_options(args=(3, 4), pipe_ignore=True)

    dramatiq.pipeline([actors.add.message(1, 2), second]).run()
    failsoft.drain()

    assert plain() == [(1, 2), (3, 4)]


def test_a_pipeline_ends_with_what_failed(failsoft: Testkit) -> None:
    first = actors.fail.message_with_options(args=(1,), max_retries=0)

    dramatiq.pipeline([first, actors.complete.message()]).run()
    ended(failsoft)

    assert plain() == ["try 1"]


def test_a_group_with_a_callback_is_a_group(failsoft: Testkit) -> None:
    group = dramatiq.group([actors.add.message(n, n) for n in range(3)])
    group.add_completion_callback(actors.complete.message("all"))

    group.run()
    failsoft.drain()

    assert sorted(map(str, plain())) == ["(0, 0)", "(1, 1)", "(2, 2)", "all"]
    assert plain()[-1] == "all"


def test_a_group_without_a_callback_has_its_results(failsoft: Testkit) -> None:
    group = dramatiq.group([actors.add.message(n, n) for n in range(3)]).run()

    failsoft.drain()

    assert list(group.get_results()) == [0, 2, 4]


def test_middleware_of_ones_own_is_called_around_an_actor(failsoft: Testkit) -> None:
    actors.add.send(1, 2)
    actors.fail.send_with_options(args=(1,), max_retries=0)
    actors.add.send_with_options(args=(1, 2), colour="none")

    failsoft.drain(raise_on_failure=False)

    for each in ("before add", "after add: 3 NoneType", "after fail: None ValueError"):
        assert each in actors.done
    assert "skipped add" in actors.done
    assert plain().count((1, 2)) == 1


def test_what_is_not_called_of_middleware_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "failsoft.adoption"):
        FailsoftBroker([actors.Watch()])

    assert caplog.messages == ["middleware Watch: not called are before_worker_boot"]


def test_an_async_actor_runs_in_a_loop_of_its_own(failsoft: Testkit) -> None:
    message = actors.wait.send()

    failsoft.drain()

    assert plain() == [message.message_id]
    assert message.get_result() == "waited"


def test_what_an_actor_returns_that_is_no_json_is_dropped(failsoft: Testkit) -> None:
    message = actors.whole.send()
    kept = actors.whole.send_with_options(store_results=True)

    failsoft.drain(raise_on_failure=False)

    assert message.get_result() is None
    job = default_dispatcher().handle(dramatiq_actor, kept.message_id)
    assert job.status() is JobState.HELD


def test_a_group_of_which_one_message_is_refused_leaves_nothing(failsoft: Testkit) -> None:
    group = dramatiq.group([actors.add.message(1, 1), actors.add.message(1, object())])
    group.add_completion_callback(actors.complete.message("all"))

    with pytest.raises(PayloadInvalidError):
        group.run()

    assert not failsoft.dispatched()
    assert not actors.broker._groups._messages


def test_an_actor_that_is_not_declared_waits_for_a_worker_that_has_it(failsoft: Testkit) -> None:
    handle = dispatch_job(dramatiq_actor, ActorCall(actor="later", args=[], kwargs={}))

    failsoft.drain(raise_on_failure=False)

    assert handle.status() is JobState.SCHEDULED
    handle.cancel()


def test_a_worker_without_the_broker_does_not_start(failsoft: Testkit) -> None:
    from failsoft.adoption.dramatiq.jobs import broker_in_use  # noqa: PLC0415 - see above

    dramatiq.set_broker(StubBroker())

    with pytest.raises(ConfigurationError, match=r"FailsoftBroker.*got StubBroker"):
        broker_in_use()


def pipelines_of_a_group() -> None:
    group = dramatiq.group([actors.add.message(1, 2) | actors.add.message(3)])
    group.add_completion_callback(actors.complete.message("all"))
    group.run()


def two_callbacks() -> None:
    group = dramatiq.group([actors.add.message(1, 2)])
    group.add_completion_callback(actors.complete.message("one"))
    group.add_completion_callback(actors.complete.message("two"))
    group.run()


def declared(**options: Any) -> None:
    dramatiq.actor(lambda: None, actor_name="declared", broker=FailsoftBroker(), **options)


@pytest.mark.parametrize(
    ("send", "kind", "said"),
    [
        (lambda: actors.add.send(1, {2}), PayloadInvalidError, "argument 'two' of add"),
        (
            lambda: actors.add.send(datetime.now(UTC), 2),
            PayloadInvalidError,
            "argument 'one' of add, got datetime",
        ),
        (
            lambda: actors.add.send_with_options(args=(1, 2), notify_shutdown=True),
            OptionInvalidError,
            "got notify_shutdown",
        ),
        (
            lambda: (actors.add.message(1, 2) | actors.add.message(3)).run(delay=1000),
            OptionInvalidError,
            "a pipeline without a delay",
        ),
        (pipelines_of_a_group, OptionInvalidError, "got a pipeline"),
        (two_callbacks, OptionInvalidError, "one completion callback"),
        (lambda: declared(queue_name="nowhere"), UnknownQueueError, "got 'nowhere'"),
        (lambda: declared(on_retry_exhausted="x"), ValueError, "undefined: on_retry_exhausted"),
        (lambda: FailsoftBroker([Results(backend=StubBackend())]), OptionInvalidError, "Results"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_by_name(
    failsoft: Testkit, send: Callable[[], object], kind: type[FailsoftError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        send()

    assert not failsoft.dispatched()
