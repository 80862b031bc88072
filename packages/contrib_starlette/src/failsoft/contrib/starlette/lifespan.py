"""The lifespan of an app in which Failsoft is open."""

import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from failsoft.api import AsyncDispatcher, LedgerUnavailableError
from failsoft.dispatcher import default_dispatcher, opened_dispatcher
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.definitions.catalogue import Catalogue

#: What Starlette and FastAPI take as `lifespan`.
Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]

#: The lifespans of this process that are open.
_open: list[None] = []
_lock = threading.Lock()

logger: logging.Logger = logging.getLogger("failsoft.starlette")


def failsoft_lifespan(
    jobs: Sequence[str] = (), *, lifespans: Sequence[Lifespan] = ()
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """Return a lifespan that opens Failsoft, and closes it after the last request.

    Opened is the dispatcher of this process: what it imports and its connections are there before
    the first request. At the end the tries that are still to be written are, and the connections
    are closed. Several lifespans of a process open the same dispatcher; the last one closes it.

    A ledger that is away keeps no app from starting: it is opened by the first dispatch then.

    Args:
        jobs: Modules of jobs, imported before anything is opened, so that what is wrong with one
            is found at the start.
        lifespans: The app's own, entered when Failsoft is open and left before it closes.

    Raises:
        ConfigurationError: When the app starts: a setting or a module of jobs is wrong.
        DuplicateJobError: When the app starts: two jobs have one name.
        LedgerSchemaError: When the app starts: the ledger is of another release.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        catalogue = Catalogue.from_modules(jobs)
        for name in catalogue.empty_modules:
            logger.warning("expected jobs in module %s, got none", name)
        state: dict[str, Any] = {}
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_opened())
            for enter in lifespans:
                found = await stack.enter_async_context(enter(app))
                state.update({} if found is None else found)
            yield state

    return lifespan


async def get_dispatcher() -> AsyncDispatcher:
    """Return the dispatcher of this process; a dependency, which tests override.

    Raises:
        ConfigurationError: If a setting is wrong.
        LedgerUnavailableError: If it was not open, and the ledger does not answer.
    """
    dispatcher = opened_dispatcher()
    if dispatcher is None:
        dispatcher = await in_thread(default_dispatcher)
    return AsyncDispatcher(dispatcher)


@asynccontextmanager
async def _opened() -> AsyncIterator[None]:
    with _lock:
        _open.append(None)
    try:
        await in_thread(_open_dispatcher)
        yield
    finally:
        with _lock:
            _open.pop()
            is_last = not _open
        dispatcher = opened_dispatcher()
        if is_last and dispatcher is not None:
            await in_thread(dispatcher.close)


def _open_dispatcher() -> None:
    try:
        default_dispatcher()
    except LedgerUnavailableError as error:
        logger.warning("the ledger is away, and is opened by the first dispatch: %s", error)
