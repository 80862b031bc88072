"""What cannot be done in a caller's transaction is refused."""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from failsoft.dispatcher import DispatchRequest
from failsoft.job_engine import Debounce
from failsoft.job_engine.errors import ConfigurationError, OptionInvalidError
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

QUIET = Debounce(by=("user_id",), period=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "with a ledger in memory"),
        ({"confirm": "pickup"}, "before the session commits"),
        ({"idempotency_key": "k", "on_duplicate": "replace"}, "with a session"),
        ({"debounce": QUIET}, "no session with a debounce"),
    ],
)
def test_nothing_is_stored(options: dict[str, Any], expected: str) -> None:
    app = MemoryApp()

    with pytest.raises(OptionInvalidError, match=expected):
        app.dispatch(session=object(), **options)

    assert not app.ledger.counts()


def test_an_awaited_dispatch_takes_an_awaited_session() -> None:
    dispatch = MemoryApp().dispatcher.dispatch_async

    with pytest.raises(OptionInvalidError, match="AsyncSession or AsyncConnection, got object"):
        asyncio.run(dispatch(WELCOME, Mail(), session=object()))


def test_an_awaited_session_without_greenlet_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = MemoryApp()
    monkeypatch.setitem(sys.modules, "greenlet", None)
    dispatch = app.dispatcher.dispatch_async(WELCOME, Mail(), session=AsyncSession())

    with pytest.raises(
        ConfigurationError,
        match=r"a AsyncSession, got none; install it with `pip install 'sqlalchemy\[asyncio\]'`",
    ):
        asyncio.run(dispatch)

    assert not app.ledger.counts()


def test_many_jobs_take_no_session() -> None:
    app = MemoryApp()
    request = DispatchRequest(Mail(), {"session": object()})

    with pytest.raises(OptionInvalidError, match="use dispatch_job"):
        app.dispatcher.dispatch_many(WELCOME, [Mail()], session=object())
    (outcome,) = app.dispatcher.dispatch_many(WELCOME, [request])
    assert isinstance(outcome.error, OptionInvalidError)
