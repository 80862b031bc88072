"""Chains and groups: what is refused, what is recorded, what the handles say."""

from datetime import timedelta
from typing import Any

import pytest

from failsoft.dispatcher.dispatching import flow
from failsoft.job_engine import GroupResult, Link
from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    IdempotencyConflictError,
    JobCancelledError,
    JobFailedError,
    ResultTimeoutError,
)
from tests.unit.support.attempts import Mail
from tests.unit.support.flows import (
    COUNT,
    WRITE,
    Digest,
    FlowApp,
    Report,
    count,
    digest,
    gather,
    write,
)

SECOND = timedelta(seconds=1)


def test_a_chain_passes_results_on_and_ends_with_the_last() -> None:
    app = FlowApp()
    app.workers()

    chain = app.dispatcher.dispatch_chain(COUNT, WRITE)
    first, second = chain.jobs

    assert [message.job_id for message in app.offered(app.rq)] == [first.id]
    assert app.states(first.id, second.id) == ["offered", "scheduled"]
    app.end(first.id, "12")
    assert second.job().payload == '{"pages": 12}'
    app.end(second.id, '"12 pages"')
    assert (chain.result(), chain.last.id, chain.created) == ("12 pages", second.id, True)


def test_the_result_of_a_chain_is_the_error_of_the_job_that_failed() -> None:
    app = FlowApp()
    app.workers()
    chain = app.dispatcher.dispatch_chain(COUNT, WRITE, WRITE)
    app.end(chain.jobs[0].id, None)

    with pytest.raises(JobFailedError, match="no paper"):
        chain.result()
    assert app.states(*[each.id for each in chain.jobs]) == ["failed", "cancelled", "cancelled"]


def test_a_chain_is_cancelled_from_its_end() -> None:
    app = FlowApp()
    chain = app.dispatcher.dispatch_chain(COUNT, WRITE, WRITE)

    chain.cancel()

    assert app.states(*[each.id for each in chain.jobs]) == ["cancelled"] * 3
    with pytest.raises(JobCancelledError):
        chain.result()


def test_a_chain_that_goes_on_is_waited_for_in_vain() -> None:
    with pytest.raises(ResultTimeoutError):
        FlowApp().dispatcher.dispatch_chain(COUNT, WRITE).result(SECOND)


def test_a_chain_of_the_same_id_is_the_same_chain() -> None:
    app = FlowApp()
    dispatch = app.dispatcher.dispatch_chain
    first = dispatch(COUNT, WRITE, chain_id="monthly")

    again = dispatch(COUNT, WRITE, chain_id="monthly")

    assert [each.id for each in again.jobs] == [each.id for each in first.jobs]
    assert not again.created
    with pytest.raises(IdempotencyConflictError, match="chain_id"):
        dispatch(Link(count, Mail(user_id=9)), WRITE, chain_id="monthly")
    with pytest.raises(DuplicateDispatchError):
        dispatch(COUNT, Link(write, Report(), job_id=first.jobs[1].id))


def test_a_chain_that_no_engine_takes_is_parked() -> None:
    app = FlowApp()
    app.rq.down()
    app.dramatiq.down()

    chain = app.dispatcher.dispatch_chain(COUNT, WRITE)

    assert app.states(*[each.id for each in chain.jobs]) == ["scheduled", "scheduled"]
    assert chain.jobs[0].job().run_at is not None


def test_a_group_starts_at_once_and_its_completion_when_it_is_over() -> None:
    app = FlowApp()
    group = app.dispatcher.dispatch_group([COUNT] * 3, gather)
    done = group.completion
    assert done is not None

    for job_id, result in zip(group.job_ids, ("1", None, "3"), strict=True):
        assert not group.progress().is_over
        app.end(job_id, result)

    over = group.wait()
    assert (over.total, over.ended, over.succeeded, over.failed) == (3, 3, 2, 1)
    given = GroupResult.model_validate_json(done.job().payload)
    assert given == over.result
    assert given.job_ids == group.job_ids
    app.end(done.id, "2")
    assert done.result() == 2


def test_a_completion_with_a_payload_of_its_own_takes_the_result_in_a_field() -> None:
    app = FlowApp()
    link = Link(digest, Digest(text="monthly"), result_field="of")
    group = app.dispatcher.dispatch_group([COUNT], link, when="all_succeeded")

    app.end(group.job_ids[0])

    assert group.completion is not None
    payload = Digest.model_validate_json(group.completion.job().payload)
    assert (payload.text, payload.of) == ("monthly", group.progress().result)


def test_a_group_without_completion_is_a_batch_to_wait_for() -> None:
    app = FlowApp()
    group = app.dispatcher.dispatch_group([COUNT, COUNT])

    with pytest.raises(ResultTimeoutError, match="0 of 2"):
        group.wait(SECOND)
    group.cancel()

    assert group.wait(SECOND).cancelled == 2


def test_a_cancelled_group_never_completes() -> None:
    app = FlowApp()
    group = app.dispatcher.dispatch_group([COUNT, COUNT], gather)

    group.cancel()

    assert group.completion is not None
    assert app.states(*group.job_ids, group.completion.id) == ["cancelled"] * 3
    assert group.progress().is_over


def test_a_large_group_is_recorded_in_chunks_and_completes_once() -> None:
    app = FlowApp()
    links = [Link(count, Mail(user_id=n)) for n in range(3 * flow.CHUNK + 1)]

    group = app.dispatcher.dispatch_group(links, gather, group_id="large")

    now = group.progress()
    assert (now.total, now.sealed) == (len(links), True)
    assert app.ledger.get("large-1500").payload == '{"user_id":1500}'


def test_a_group_that_was_cut_off_is_gone_on_with() -> None:
    app = FlowApp()
    links = [COUNT] * (flow.CHUNK + 1)
    record, calls = app.ledger.record_group, []

    def once(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return record(*args)

    app.ledger.record_group = once  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        app.dispatcher.dispatch_group(links, gather, group_id="cut")
    cut = app.ledger.group("cut")

    group = app.dispatcher.dispatch_group(links, gather, group_id="cut")

    assert (cut.total, cut.sealed) == (flow.CHUNK, False)
    assert (group.progress().total, group.progress().sealed) == (len(links), True)
    with pytest.raises(IdempotencyConflictError):
        app.dispatcher.dispatch_group(links[1:], gather, group_id="cut")


def test_the_same_link_twice_is_two_jobs() -> None:
    app = FlowApp()

    chain = app.dispatcher.dispatch_chain(COUNT, COUNT, chain_id="twice")
    group = app.dispatcher.dispatch_group([COUNT, COUNT], group_id="double")

    assert [job.id for job in chain.jobs] == ["twice-0", "twice-1"]
    assert group.progress().total == 2
