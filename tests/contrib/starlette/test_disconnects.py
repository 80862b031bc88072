"""A client that disconnects cuts no dispatch in half."""

import asyncio
from collections.abc import Coroutine
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from failsoft.api import AsyncDispatcher, JobState
from failsoft.contrib.starlette import SessionDispatcher, get_dispatcher
from failsoft.dispatcher import opened_dispatcher, use_dispatcher
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from tests.contrib.apps.orders import Order, pay
from tests.unit.dispatcher.handles.test_awaited import CutAt, cut_everywhere


def jobs_of(ledger: SqlLedger) -> dict[str, JobState]:
    """The jobs, in a ledger that is sound."""
    assert not [e for checked in verify(ledger.database) for e in checked.violations]
    return {each.id: each.state for each in ledger.list_jobs(limit=1000)}


def test_at_no_await_of_a_dispatch(settings: pytest.MonkeyPatch, ledger: SqlLedger) -> None:
    async def view() -> None:
        dispatcher = await get_dispatcher()
        await dispatcher.dispatch(pay, Order())

    awaits = asyncio.run(cut_everywhere(view))

    # One opens the dispatcher, and has done so when it is cut; the other dispatches.
    assert awaits >= 1
    assert set(jobs_of(ledger).values()) == {JobState.OFFERED}
    assert len(jobs_of(ledger)) >= awaits


@pytest.mark.parametrize("commits_nevertheless", [False, True])
def test_at_no_await_of_a_dispatch_in_the_requests_transaction(
    settings: pytest.MonkeyPatch, ledger_url: str, commits_nevertheless: bool
) -> None:
    settings.setenv("FAILSOFT_LEDGER_URL", ledger_url)
    use_dispatcher(None)
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        url = make_url(str(database.url.render_as_string(hide_password=False)))
        url = url.set(drivername="sqlite+aiosqlite") if database.is_sqlite else url
        committed: set[str] = set()

        async def view(place: int) -> CutAt:
            engine = create_async_engine(url)
            async with AsyncSession(engine) as session:
                dispatcher = SessionDispatcher(await get_dispatcher(), session)
                cut = CutAt(dispatcher.dispatch(pay, Order(), job_id=f"cut-at-{place}"), place)
                try:
                    await cut
                except asyncio.CancelledError:
                    if commits_nevertheless:
                        await session.commit()
                else:
                    await session.commit()
                    committed.add(f"cut-at-{place}")
            await engine.dispose()
            return cut

        place = 1
        while asyncio.run(view(place)).reached >= place:
            place += 1

        assert place > 2
        found = jobs_of(SqlLedger(database))
        # Whole or not there: what verify finds sound, and offered where it was committed.
        assert set(found.values()) <= {JobState.OFFERED}
        assert committed <= found.keys()
        if not commits_nevertheless:
            assert found.keys() == committed
        dispatcher = opened_dispatcher()
        assert dispatcher is not None
        dispatcher.close()


def test_at_no_await_of_what_else_is_dispatched(
    settings: pytest.MonkeyPatch, ledger: SqlLedger
) -> None:
    async def view() -> int:
        asynchronous = await get_dispatcher()
        return await cut_everywhere(lambda: many(asynchronous))

    def many(asynchronous: AsyncDispatcher) -> Coroutine[Any, Any, Any]:
        return asynchronous.dispatch_many(pay, [Order(), Order(), Order()])

    awaits = asyncio.run(view())

    assert len(jobs_of(ledger)) == 3 * (awaits + 1)
