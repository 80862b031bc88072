"""A ledger of the test's own, as the settings of this process name it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from failsoft.dispatcher import opened_dispatcher, use_dispatcher
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Iterator[pytest.MonkeyPatch]:
    """The settings: a ledger to be made, and an engine that keeps what it is offered."""
    monkeypatch.setenv("FAILSOFT_ENGINES", "memory")
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", sqlite_url)
    use_dispatcher(None)
    yield monkeypatch
    dispatcher = opened_dispatcher()
    if dispatcher is not None:
        dispatcher.close()
    use_dispatcher(None)


@pytest.fixture
def ledger(settings: pytest.MonkeyPatch, sqlite_url: str) -> Iterator[SqlLedger]:
    """The ledger of these settings."""
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        yield SqlLedger(database)
