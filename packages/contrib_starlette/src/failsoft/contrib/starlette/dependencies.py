"""Dispatchers as dependencies of FastAPI."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends

from failsoft.api import AsyncDispatcher
from failsoft.contrib.starlette.lifespan import get_dispatcher
from failsoft.contrib.starlette.session import SessionDispatcher

#: The parameter of a path operation that dispatches.
Dispatch = Annotated[AsyncDispatcher, Depends(get_dispatcher)]


def session_dispatcher(get_session: Callable[..., Any]) -> Callable[..., SessionDispatcher]:
    """Return a dependency that dispatches in the transaction of the request's session.

    FastAPI calls a dependency once for each request, so that a path operation which depends on
    `get_session`, too, has the same session.

    Args:
        get_session: The app's dependency that returns or yields its `AsyncSession`.
    """

    def dispatcher_of_session(
        dispatcher: Dispatch, session: Annotated[Any, Depends(get_session)]
    ) -> SessionDispatcher:
        return SessionDispatcher(dispatcher, session)

    return dispatcher_of_session
