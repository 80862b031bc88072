"""When the server that speaks Inngest's protocol calls again, and what it registers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from failsoft.testing.inngest_server.apps import Apps, RegistrationError
from failsoft.testing.inngest_server.protocol import new_id, pause_before


@pytest.mark.parametrize(
    ("attempt", "least"), [(0, 15), (1, 30), (3, 120), (9, 7200), (10, 7200), (19, 7200)]
)
def test_pauses_grow_as_inngests_do(attempt: int, least: int) -> None:
    assert all(least <= pause_before(attempt, None, 1.0) <= least + 30 for _ in range(50))


@pytest.mark.parametrize(
    ("asked", "pause"), [("1", 1), ("7", 7), ("90000", 86_400), ("0.2", 15), ("0", 15), ("", 15)]
)
def test_an_answer_may_ask_for_a_pause(asked: str, pause: float) -> None:
    assert pause <= pause_before(0, asked, 1.0) <= pause + (30 if pause == 15 else 0)


@pytest.mark.parametrize("write", [datetime.isoformat, lambda at: format_datetime(at, usegmt=True)])
def test_an_answer_may_ask_for_a_moment(write: Any) -> None:
    at = datetime.now(UTC) + timedelta(minutes=1)

    assert 55 < pause_before(0, write(at), 1.0) <= 60


def test_a_moment_that_is_over_is_a_second_away() -> None:
    assert pause_before(0, "2001-01-01T00:00:00Z", 1.0) == 1.0


def test_ids_are_ulids_in_order_of_their_time() -> None:
    first, second = new_id(), new_id()

    assert len(first) == len(second) == 26
    assert first[:10] <= second[:10]


def app(**function: object) -> dict[str, Any]:
    """Return a registration with one function."""
    step = {"id": "step", "runtime": {"type": "http", "url": "http://h"}}
    whole = {"id": "one", "triggers": [{"event": "e"}], "steps": {"step": step}, **function}
    return {"appName": "app", "url": "http://h", "functions": [whole]}


def test_a_function_is_called_five_times_unless_it_says_otherwise(tmp_path: Path) -> None:
    apps = Apps(tmp_path / "apps.json")
    for retries, attempts in ((None, 5), (0, 1), (3, 4), (99, 21)):
        step = {"id": "step", "runtime": {"type": "http", "url": "http://h"}}
        given = step if retries is None else {**step, "retries": {"attempts": retries}}
        apps.register(app(steps={"step": given}))

        function = apps.function("one")

        assert function is not None
        assert function.attempts == attempts


def test_an_app_takes_the_place_of_the_one_of_its_name_and_outlives_the_process(
    tmp_path: Path,
) -> None:
    apps = Apps(tmp_path / "apps.json")

    changes = [apps.register(each) for each in (app(id="one"), app(id="two"), app(id="two"))]

    assert changes == [True, True, False]
    for found in (apps, Apps(tmp_path / "apps.json")):
        assert found.function("one") is None
        assert [each.id for each in found.started_by("e")] == ["two"]


@pytest.mark.parametrize(
    "wrong",
    [None, [], {}, {"appName": "app"}, {"appName": "app", "functions": [{}]}, app(steps={})],
)
def test_what_is_no_app_is_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(RegistrationError):
        Apps(tmp_path / "apps.json").register(wrong)


@pytest.mark.parametrize(
    ("concurrency", "limit"), [(None, None), (4, 4), ([{"limit": 3}], 3), ({"limit": 2}, 2)]
)
def test_a_limit_is_read_in_every_form(
    tmp_path: Path, concurrency: object, limit: int | None
) -> None:
    apps = Apps(tmp_path / "apps.json")

    apps.register(app(concurrency=concurrency))

    function = apps.function("one")
    assert function is not None
    assert function.limit == limit
