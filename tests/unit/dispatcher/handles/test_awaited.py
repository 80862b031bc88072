"""What is awaited of a handle ends as what blocks does, and the loop goes on."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from failsoft.dispatcher import AsyncDispatcher, AsyncJobHandle
from failsoft.job_engine import JobState, Link
from failsoft.job_engine.errors import FailsoftError, OptionInvalidError
from failsoft.job_engine.records.job import Claim, Conclusion, Progress
from failsoft.job_engine.records.states import FAIL, STOP
from tests.servers.processes import PATIENCE
from tests.unit.dispatcher.handles.test_handle import BILL, ERROR, RECEIPT, dispatched
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

T = TypeVar("T")

NOW = timedelta(0)
SOON = timedelta(milliseconds=30)


class CutAt(Awaitable[Any]):
    """Awaits a coroutine and cancels it where it awaits for the nth time.

    Attributes:
        reached: How often it has awaited.
    """

    def __init__(self, cut: Coroutine[Any, Any, Any], place: int) -> None:
        self._cut = cut
        self._place = place
        self.reached = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._cut.send
        value: object = None
        while True:
            try:
                waited_for = step(value)
            except StopIteration as end:
                return end.value
            self.reached += 1
            if self.reached == self._place:
                step, value = self._cut.throw, asyncio.CancelledError()
            else:
                step = self._cut.send
                value = yield waited_for


async def cut_everywhere(start: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Cancel what `start` begins at its first await, at its second, ...; return how many it has."""
    place = 1
    while True:
        cut = CutAt(start(), place)
        try:
            await cut
        except asyncio.CancelledError:
            place += 1
        else:
            return place - 1


def fail(app: MemoryApp, claim: Claim) -> None:
    app.ledger.conclude(claim, Conclusion(FAIL, error=ERROR))


def cancel(app: MemoryApp, claim: Claim) -> None:
    app.ledger.cancel(claim.job_id, "test")
    app.ledger.conclude(claim, Conclusion(STOP))


def nothing(app: MemoryApp, claim: Claim) -> None:
    """Leave it running."""


def end_of(call: Callable[[], object]) -> tuple[type[FailsoftError], str]:
    with pytest.raises(FailsoftError) as raised:
        call()
    return raised.type, str(raised.value)


@pytest.mark.parametrize("end", [fail, cancel, nothing])
def test_the_errors_are_those_of_the_members_that_block(
    end: Callable[[MemoryApp, Claim], None],
) -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    end(app, claim)

    blocked = end_of(lambda: handle.result(NOW))

    assert end_of(lambda: asyncio.run(handle.aresult(NOW))) == blocked
    assert end_of(lambda: asyncio.run(AsyncJobHandle(handle).result(NOW))) == blocked


@pytest.mark.parametrize("timeout", [5, timedelta(seconds=-1)])
def test_a_timeout_that_is_none_is_refused_alike(timeout: Any) -> None:
    app = MemoryApp()
    handle, _ = dispatched(app)
    chain = app.dispatcher.dispatch_chain(Link(WELCOME, Mail()))

    for each in (handle, chain):
        blocked = end_of(lambda each=each: each.result(timeout))  # type: ignore[misc]
        assert blocked[0] is OptionInvalidError
        assert end_of(lambda each=each: asyncio.run(each.aresult(timeout))) == blocked  # type: ignore[misc]


def test_the_loop_goes_on_while_the_ledger_takes_its_time() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    app.finish(claim, RECEIPT.model_dump_json())
    loop_went_on, look = threading.Event(), app.ledger.get

    def slow(job_id: str) -> Any:
        assert loop_went_on.wait(PATIENCE), "expected the loop to go on, got one that is blocked"
        return look(job_id)

    app.ledger.get = slow  # type: ignore[method-assign]

    async def view() -> tuple[Any, ...]:
        asyncio.get_running_loop().call_soon(loop_went_on.set)
        found = [await handle.astatus(), await handle.aresult()]
        return (*found, *[each async for each in handle.watch()])

    assert asyncio.run(view()) == (JobState.SUCCEEDED, RECEIPT)


def test_a_result_is_awaited_until_it_is_there() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)

    async def view() -> Any:
        waiting = asyncio.create_task(handle.aresult())
        await asyncio.wait([waiting], timeout=0)
        app.finish(claim, RECEIPT.model_dump_json())
        return await waiting

    assert asyncio.run(view()) == RECEIPT


def test_a_wait_that_is_cancelled_anywhere_leaves_the_job_alone() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)

    async def view() -> int:
        with pytest.raises(FailsoftError):
            await cut_everywhere(lambda: handle.aresult(SOON))
        assert handle.status() is JobState.RUNNING
        app.finish(claim, RECEIPT.model_dump_json())
        return await cut_everywhere(handle.aresult)

    assert asyncio.run(view()) >= 1
    assert handle.result() == RECEIPT


def test_a_dispatch_that_is_cancelled_anywhere_is_whole_or_not_there() -> None:
    app = MemoryApp()
    asynchronous = AsyncDispatcher(app.dispatcher)

    async def view() -> int:
        return await cut_everywhere(lambda: asynchronous.dispatch(BILL, Mail()))

    awaits = asyncio.run(view())

    assert awaits >= 1
    # The loop has waited for the threads of those that were cut.
    jobs = app.ledger.list_jobs()
    assert len(jobs) == awaits + 1
    assert {each.state for each in jobs} == {JobState.OFFERED}
    assert len(app.offered(app.rq)) == len(jobs)


def progress(done: int) -> Progress:
    return Progress(done, 3, "", datetime(2026, 1, 1, tzinfo=UTC))


def test_progress_is_watched_until_the_job_ends() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)

    async def view() -> list[int]:
        seen = []
        app.ledger.note_progress(claim, progress(1))
        async for each in handle.watch():
            seen.append(each.done)
            if each.done < 3:
                app.ledger.note_progress(claim, progress(each.done + 1))
            else:
                app.finish(claim, RECEIPT.model_dump_json())
        return seen

    assert asyncio.run(view()) == [1, 2, 3]


def test_a_job_that_reports_nothing_is_watched_to_its_end() -> None:
    app = MemoryApp()
    handle, claim = dispatched(app)
    fail(app, claim)

    async def view() -> list[Progress]:
        return [each async for each in AsyncJobHandle(handle).watch()]

    assert asyncio.run(view()) == []


def test_a_chain_has_the_result_of_its_last_job_and_the_error_of_the_first_that_failed() -> None:
    app = MemoryApp()
    good = app.dispatcher.dispatch_chain(Link(WELCOME, Mail()), Link(BILL, Mail()))
    for result in ("null", RECEIPT.model_dump_json()):
        claim = app.work(app.rq)
        assert claim is not None
        app.finish(claim, result)
        app.stager.tick()
    assert asyncio.run(good.aresult()) == RECEIPT

    bad = app.dispatcher.dispatch_chain(Link(WELCOME, Mail()), Link(BILL, Mail()))
    claim = app.work(app.rq)
    assert claim is not None
    fail(app, claim)
    assert end_of(lambda: asyncio.run(bad.aresult())) == end_of(bad.result)


def test_a_group_is_watched_and_awaited() -> None:
    app = MemoryApp()
    group = app.dispatcher.dispatch_group([Link(WELCOME, Mail()), Link(WELCOME, Mail())])
    late = end_of(lambda: asyncio.run(group.await_end(NOW)))
    assert late == end_of(lambda: group.wait(NOW))

    async def view() -> list[int]:
        seen = []
        async for each in group.watch():
            seen.append(each.ended)
            if not each.is_over:
                app.stager.tick()
                claim = app.work(app.rq)
                assert claim is not None
                app.finish(claim)
        assert await group.await_end() == await group.aprogress()
        return seen

    assert asyncio.run(view()) == [0, 1, 2]


def test_each_method_of_an_awaited_dispatcher_does_as_the_one_that_blocks() -> None:
    app = MemoryApp()
    asynchronous = AsyncDispatcher(app.dispatcher)

    async def view() -> None:
        many = await asynchronous.dispatch_many(WELCOME, [Mail(), Mail()])
        chain = await asynchronous.dispatch_chain(Link(WELCOME, Mail()))
        group = await asynchronous.dispatch_group([Link(WELCOME, Mail())])
        one = await asynchronous.dispatch(WELCOME, Mail())
        again = await asynchronous.handle(WELCOME, one.id)
        assert again.id == one.id
        assert await asynchronous.send_event("paid", to=one) == 0
        await asynchronous.flush()
        ids = {one.id, *(job.id for job in chain.jobs), *group.job_ids}
        ids |= {each.handle.id for each in many if each.handle is not None}
        assert {job.id for job in app.ledger.list_jobs()} == ids

    asyncio.run(view())
