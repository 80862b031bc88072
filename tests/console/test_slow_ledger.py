"""A ledger that answers slowly, or that nothing can be written to."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, make_url

from failsoft.console.panels import PATIENCE, LastAnswers, Panels
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from tests.console.conftest import Shown, Surroundings
from tests.console.scene import scene
from tests.console.test_too_much import SCREENS, path_of
from tests.servers.postgresql.postgres import Postgres
from tests.servers.proxy import TcpProxy

#: How long each statement of a slow ledger takes, in seconds: several of a page are too many.
DELAY = 0.7
#: How long PostgreSQL's proxy holds each piece back: a panel takes several round trips.
HELD_BACK = 0.14


@contextmanager
def slow(shown: Shown) -> Iterator[None]:
    """Let each statement of the console's ledger take longer."""
    engine = shown.ledger.database.engine

    def delay(*_: Any) -> None:
        time.sleep(DELAY)

    event.listen(engine, "before_cursor_execute", delay)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", delay)


@contextmanager
def read_only(shown: Shown) -> Iterator[None]:
    """Let the console's ledger take no write."""
    database = shown.ledger.database

    def refuse(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(database.engine, "connect", refuse)
    database.release_idle()
    try:
        yield
    finally:
        event.remove(database.engine, "connect", refuse)
        database.release_idle()


def test_panels_that_come_too_late_show_what_they_showed_last() -> None:
    now, answers = [0.0], LastAnswers()

    def read(figure: int, seconds: float) -> int:
        now[0] += seconds
        return figure

    before = Panels(answers, lambda: now[0])
    for place, name in enumerate(("tally", "notices", "workers")):
        before.read(name, lambda place=place: read(place, 0.1))

    page = Panels(answers, lambda: now[0])
    first = page.read("tally", lambda: read(10, PATIENCE - 0.1))
    second = page.read("notices", lambda: read(11, 0.2))
    third = page.read("workers", lambda: read(12, 0.1))
    never = page.read(("queue-jobs", "mail"), lambda: read(13, 0.1))

    assert [(each.value, each.is_stale) for each in (first, second, third, never)] == [
        *((10, False), (11, False), (2, True), (None, True))
    ]
    assert page.is_late
    assert not page.is_away
    assert page.stale_beside(first) == {"workers": third, "queue jobs": never}


def test_a_page_of_a_slow_ledger_says_which_of_its_figures_are_from_when(shown: Shown) -> None:
    client = shown.client()
    assert "answers slowly" not in client.get("/").text

    with slow(shown):
        page = client.get("/")

    # The first panels are of now, the last are not; the page comes all the same.
    assert page.status_code == 200
    assert "The ledger answers slowly" in page.text
    assert "Not read now:" in page.text
    assert "notices (figures of" in page.text
    assert "These are the figures of" not in page.text
    assert "answers slowly" not in client.get("/").text


def test_every_screen_of_a_read_only_ledger_is_of_now(shown: Shown) -> None:
    client = shown.client()
    query = {
        "bulk-new": "?action=retry&state=failed",
        "selected": f"?action=retry&ids={shown.scene.failed}",
    }
    paths = [path_of(shown, each.path, each.name) + query.get(each.name, "") for each in SCREENS]
    as_ever = {path: client.get(path).status_code for path in paths}

    with read_only(shown):
        pages = {path: client.get(path) for path in paths}

    assert {path: page.status_code for path, page in pages.items()} == as_ever
    assert [path for path, page in pages.items() if "The ledger" in page.text] == []


def test_an_action_on_a_read_only_ledger_is_refused_and_done_later(shown: Shown) -> None:
    client, path = shown.client(), f"/jobs/{shown.scene.scheduled}/cancel"

    with read_only(shown):
        refused = client.post(path)
        assert client.get(f"/jobs/{shown.scene.scheduled}").status_code == 200

    assert refused.status_code == 503
    assert "Traceback" not in refused.text
    assert shown.ledger.get(shown.scene.scheduled).state == "scheduled"
    assert client.post(path).status_code == 303
    assert shown.ledger.get(shown.scene.scheduled).state == "cancelled"


@pytest.fixture
def far(
    postgres: Postgres, postgres_url: str, proxy_to: Callable[[int], TcpProxy]
) -> Iterator[tuple[Shown, TcpProxy]]:
    """A console whose ledger is on PostgreSQL, behind a proxy."""
    with closing(Database(postgres_url)) as near:
        upgrade(near)
        found = scene(SqlLedger(near))
    proxy = proxy_to(postgres.port)
    url = make_url(postgres_url).set(host="127.0.0.1", port=proxy.port)
    with closing(Database(url.render_as_string(hide_password=False))) as database:
        yield Shown(Surroundings(SqlLedger(database)), found), proxy


def test_on_postgresql_panels_show_what_they_showed_last_and_a_read_only_server_is_shown(  # noqa: PLR0915 - one server
    far: tuple[Shown, TcpProxy], postgres: Postgres, postgres_url: str
) -> None:
    shown, proxy = far
    client, cancelled = shown.client(), f"/jobs/{shown.scene.scheduled}/cancel"
    assert client.get("/").status_code == 200

    # Each statement is answered later: the first panels are of now, the last are not.
    proxy.delay(HELD_BACK)
    late = client.get("/")
    proxy.pass_through()
    assert late.status_code == 200
    assert "The ledger answers slowly" in late.text
    assert "notices (figures of" in late.text
    assert "These are the figures of" not in late.text

    # One table is locked: its panel waits for as long as a call may, and is of before.
    server = make_url(postgres_url).set(drivername="postgresql")
    with psycopg.connect(server.render_as_string(hide_password=False)) as other:
        other.execute("LOCK TABLE failsoft_notices IN ACCESS EXCLUSIVE MODE")
        locked = client.get("/")
    assert locked.status_code == 503
    assert "notices (figures of" in locked.text
    assert "These are the figures of" not in locked.text

    postgres.read_only(on=True)
    shown.ledger.database.release_idle()
    pages = [client.get(path) for path in ("/", "/jobs", f"/jobs/{shown.scene.scheduled}")]
    refused = client.post(cancelled)
    postgres.read_only(on=False)
    shown.ledger.database.release_idle()
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert [page.url.path for page in pages if "The ledger" in page.text] == []
    assert refused.status_code == 503
    assert shown.ledger.get(shown.scene.scheduled).state == "scheduled"
    assert client.post(cancelled).status_code == 303
    assert shown.ledger.get(shown.scene.scheduled).state == "cancelled"
