"""Failsoft in a Starlette or FastAPI app.

`failsoft_lifespan` opens Failsoft with the app and closes it after the last request.
`get_dispatcher` returns its `AsyncDispatcher`; `Dispatch` is that as a dependency of FastAPI, and
`session_dispatcher` makes one that dispatches in the request's transaction, a `SessionDispatcher`.
These two need FastAPI: `pip install 'failsoft[fastapi]'`.
"""

from typing import TYPE_CHECKING

from failsoft.contrib.starlette.lifespan import failsoft_lifespan, get_dispatcher
from failsoft.contrib.starlette.session import SessionDispatcher
from failsoft.job_engine.lazy_names import lazily

if TYPE_CHECKING:
    from failsoft.contrib.starlette.dependencies import Dispatch, session_dispatcher
else:
    # What is there without FastAPI does not import it.
    __getattr__ = lazily(
        __name__,
        {"failsoft.contrib.starlette.dependencies": ("Dispatch", "session_dispatcher")},
    )

__all__ = [
    "Dispatch",
    "SessionDispatcher",
    "failsoft_lifespan",
    "get_dispatcher",
    "session_dispatcher",
]
