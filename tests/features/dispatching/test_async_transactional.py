"""A job dispatched in an awaited transaction of the caller's is there if that commits."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from failsoft.dispatcher import AsyncJobHandle, dispatch_job_async, use_dispatcher
from failsoft.job_engine.errors import OptionInvalidError
from tests.deployments.shared import PATIENCE, EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, echo
from tests.servers.processes import wait_until

Opened = AsyncSession | AsyncConnection
KINDS: dict[str, type[Opened]] = {"session": AsyncSession, "connection": AsyncConnection}
kinds = pytest.mark.parametrize("kind", KINDS)


class App:
    """A web app that keeps its data in the ledger's database."""

    def __init__(self, deployment: EngineDeployment) -> None:
        self.deployment = deployment
        url = make_url(str(deployment.database.url.render_as_string(hide_password=False)))
        self.url = url.set(drivername="sqlite+aiosqlite") if deployment.database.is_sqlite else url

    def serve(self, view: Callable[[Any], Awaitable[Any]], kind: str = "session") -> Any:
        """Let a view work with a session, or a connection, of its own."""

        async def served() -> Any:
            async with self._opened(kind) as session:
                return await view(session)

        use_dispatcher(self.deployment.dispatcher)
        try:
            return asyncio.run(served())
        finally:
            use_dispatcher(None)

    async def dispatch(self, note: str, session: Opened, **options: Any) -> AsyncJobHandle[str]:
        engines = [self.deployment.engine]
        return await dispatch_job_async(
            echo, Note(text=note), session=session, engines=engines, **options
        )

    @asynccontextmanager
    async def _opened(self, kind: str) -> AsyncIterator[Any]:
        engine = create_async_engine(self.url)
        try:
            async with KINDS[kind](engine) as session:
                yield session
        finally:
            await engine.dispose()


@pytest.fixture
def app(deployment: EngineDeployment) -> App:
    return App(deployment)


@kinds
def test_it_runs_after_the_commit_and_not_before(app: App, kind: str) -> None:
    async def view(session: Opened) -> tuple[bool, str, bool]:
        handle = await app.dispatch("committed", session)
        pending = await handle.pending()
        await session.commit()
        return pending, await handle.result(), await handle.pending()

    assert app.serve(view, kind) == (True, "committed", False)


@kinds
def test_a_rollback_leaves_nothing(app: App, kind: str) -> None:
    async def view(session: Opened) -> AsyncJobHandle[str]:
        handle = await app.dispatch("", session)
        await session.rollback()
        await session.execute(text("SELECT 1"))
        await session.commit()
        return handle

    handle = app.serve(view, kind)

    assert handle.blocking.pending
    assert not app.deployment.ledger.events(handle.id)


def test_neither_does_that_of_a_savepoint(app: App) -> None:
    async def view(session: AsyncSession) -> tuple[str, AsyncJobHandle[str]]:
        kept = await app.dispatch("kept", session)
        savepoint = await session.begin_nested()
        undone = await app.dispatch("undone", session)
        await savepoint.rollback()
        await session.commit()
        return await kept.result(), undone

    kept, undone = app.serve(view)

    assert kept == "kept"
    assert undone.blocking.pending


def test_what_a_crash_after_the_commit_leaves_is_swept_up(app: App) -> None:
    async def view(session: AsyncSession) -> AsyncJobHandle[str]:
        handle = await app.dispatch("swept", session)
        session.sync_session.dispatch.after_transaction_end.clear()  # type: ignore[attr-defined]  # as if dead
        await session.commit()
        return handle

    handle = app.serve(view).blocking

    wait_until(lambda: handle.status().is_terminal, PATIENCE, "the rescuer offers it")
    assert handle.result() == "swept"
    assert handle.job().epoch > 1


@kinds
def test_the_event_loop_does_not_wait_for_an_engine(app: App, kind: str) -> None:
    reported: list[int] = []

    async def view(session: Opened) -> int:
        transaction = await session.run_sync(app.deployment.ledger.within)
        transaction.when_over(lambda is_over: reported.append(threading.get_ident()))
        await session.commit()
        await asyncio.to_thread(wait_until, lambda: reported, PATIENCE, "the transaction is over")
        return threading.get_ident()

    assert app.serve(view, kind) not in reported


def test_another_database_is_refused_before_anything_is_stored(app: App) -> None:
    app.url = make_url("sqlite+aiosqlite://")

    with pytest.raises(OptionInvalidError, match="expected a session on"):
        app.serve(lambda session: app.dispatch("", session))


def test_each_dispatch_says_which_sessions_go_with_it(app: App) -> None:
    async def view(session: AsyncSession) -> None:
        with pytest.raises(OptionInvalidError, match="await dispatch_job_async"):
            app.deployment.dispatch(echo, Note(), session=session)
        with pytest.raises(OptionInvalidError, match="write `dispatch_job"):
            await app.dispatch("", session.sync_session)  # type: ignore[arg-type]

    app.serve(view)
