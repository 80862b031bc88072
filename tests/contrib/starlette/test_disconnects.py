"""A client that disconnects cuts no dispatch in half."""

import asyncio
from collections.abc import Coroutine
from contextlib import closing, suppress
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import PendingRollbackError
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


class Requests:
    """Requests whose dispatch is cut off at their nth await, each with a session of its own."""

    def __init__(self, database: Database, *, commits_nevertheless: bool) -> None:
        url = make_url(str(database.url.render_as_string(hide_password=False)))
        self.url = url.set(drivername="sqlite+aiosqlite") if database.is_sqlite else url
        self.commits_nevertheless = commits_nevertheless
        self.committed: set[str] = set()

    async def until_whole(self) -> int:
        """Cut one off at its first await, one at its second, ...; return how many there are."""
        engine = create_async_engine(self.url)
        place = 1
        while await self._cut_at(place, AsyncSession(engine)):
            place += 1
        await engine.dispose()
        return place - 1

    async def _cut_at(self, place: int, session: AsyncSession) -> bool:
        job_id, was_cut = f"cut-at-{place}", False
        async with session:
            dispatcher = SessionDispatcher(await get_dispatcher(), session)
            try:
                await CutAt(dispatcher.dispatch(pay, Order(), job_id=job_id), place)
            except asyncio.CancelledError:
                was_cut = True
            if not was_cut:
                await session.commit()
                self.committed.add(job_id)
            elif self.commits_nevertheless:
                # SQLAlchemy refuses it after a statement that was cut off.
                with suppress(PendingRollbackError):
                    await session.commit()
        return was_cut


@pytest.mark.parametrize("commits_nevertheless", [False, True])
def test_at_no_await_of_a_dispatch_in_the_requests_transaction(
    settings: pytest.MonkeyPatch, ledger_url: str, commits_nevertheless: bool
) -> None:
    settings.setenv("FAILSOFT_LEDGER_URL", ledger_url)
    use_dispatcher(None)
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        requests = Requests(database, commits_nevertheless=commits_nevertheless)

        awaits = asyncio.run(requests.until_whole())

        assert awaits > 1
        found = jobs_of(SqlLedger(database))
        # Whole or not there: sound, and offered where it was committed.
        assert set(found.values()) <= {JobState.OFFERED}
        assert requests.committed <= found.keys()
        assert commits_nevertheless or found.keys() == requests.committed
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
