"""What cannot be done in a caller's transaction is refused; the other options hold in it."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from failsoft.dispatcher import Dispatcher, DispatchRequest
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine import Debounce
from failsoft.job_engine.errors import ConfigurationError, OptionInvalidError
from failsoft.job_engine.records.message import KeyRing
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import BUDGET, WELCOME, MemoryApp

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


class FileApp(MemoryApp):
    """An app whose jobs are in a SQLite file, where a caller's transaction can record them."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        ledger = SqlLedger(database)
        keys, tries = KeyRing(ledger.signing_keys, self.clock), TryLog(ledger, background=False)
        shared = {"clock": self.clock, "listener": self.events}
        offerer = Offerer(ledger, self.engines, keys, tries, **shared, budget=BUDGET)
        self.dispatcher = Dispatcher(ledger, self.router, offerer, listener=self.events)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        upgrade(opened)
        yield opened


@pytest.mark.parametrize(
    ("options", "seconds"), [({"budget": timedelta(seconds=4)}, 4.0), ({}, BUDGET.total_seconds())]
)
def test_the_offer_is_made_within_the_budget_from_the_commit_on(
    database: Database, options: dict[str, Any], seconds: float
) -> None:
    app, seen = FileApp(database), list[float]()
    app.rq.meanwhile = lambda deadline: seen.append(deadline.remaining())
    engine = create_engine(database.url)

    with Session(engine) as session:
        app.dispatch(session=session, **options)
        app.clock.advance(timedelta(hours=1))
        assert seen == []
        session.commit()
    engine.dispose()

    # The fallback gets its share of the time.
    assert seen == [seconds / 2]
