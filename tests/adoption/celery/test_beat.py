"""The beat schedule of a Celery app, as schedules of Failsoft's."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from celery.schedules import crontab
from click.testing import CliRunner, Result

from failsoft.api import OptionInvalidError
from failsoft.job_engine.definitions.callables import allow_callables, allowed_modules
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testkit.kit import Testkit
from failsoft.worker.cli import main
from failsoft.worker.configuration.settings import process_settings
from tests.adoption.apps import beat as program

NAME = "tests.adoption.apps.beat"


@pytest.fixture(autouse=True)
def _allowed() -> Iterator[None]:
    allow_callables([NAME])
    program.app.set_current()
    program.done.clear()
    yield
    program.app.conf.beat_schedule = program.carried


def entries() -> dict[str, Any]:
    from failsoft.adoption.celery import beat  # noqa: PLC0415 - it imports what is allowed

    return {each.name: each for each in beat.beat_entries() if each.name in everything()}


def everything() -> Mapping[str, object]:
    return program.carried | program.refused


def test_each_entry_is_a_job_with_a_schedule() -> None:
    found = {name: each.job for name, each in entries().items()}

    schedules = {name: job.schedule for name, job in found.items()}
    assert {name: schedule.timing for name, schedule in schedules.items()} == {
        "clean every 10 s": {"every": 10},
        "hourly": {"every": 3600},
        "interval": {"every": 86400},
        "weekdays": {"cron": "*/15 8,9,10,20,22 * * 1,2,3,4,5", "tz": "Europe/Madrid"},
        "new-year": {"cron": "0 0 1 1 *", "tz": "Europe/Madrid"},
    }
    assert found["clean every 10 s"].name == "beat.clean-every-10-s"
    assert (found["hourly"].queue.name, found["hourly"].priority) == ("data-sync", 7)
    call = schedules["hourly"].payload
    assert (call.name, call.args, call.kwargs) == ("beat.clean", [], {"days": 1, "deep": True})


@pytest.mark.parametrize(
    "written",
    [
        {"minute": "*/7"},
        {"minute": "30", "hour": "22-3"},
        {"hour": "*/5", "minute": 0, "day_of_month": "*/9"},
        {"minute": 0, "hour": 12, "day_of_week": "sat,sunday"},
        {"minute": "0", "hour": "0", "day_of_month": "1-7,15", "month_of_year": "*/4"},
    ],
)
def test_a_crontab_ticks_when_celery_would_fire_it(written: dict[str, Any]) -> None:
    theirs = crontab(**written)
    program.app.conf.beat_schedule = {"hourly": {"task": "beat.flaky", "schedule": theirs}}
    ours = entries()["hourly"].job.schedule
    zone = program.app.timezone
    tick = datetime(2026, 1, 1, tzinfo=UTC)

    for _ in range(40):
        tick = ours.after(tick)
        at = tick.astimezone(zone)
        assert at.minute in theirs.minute
        assert at.hour in theirs.hour
        assert at.isoweekday() % 7 in theirs.day_of_week
        assert at.day in theirs.day_of_month
        assert at.month in theirs.month_of_year
        # The next one of Celery's after it is the next one of ours.
        theirs.nowfun = lambda at=at: at
        remaining = theirs.remaining_delta(at, tz=zone)
        assert (remaining[0] + remaining[1]) == ours.after(tick).astimezone(zone)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sunset", "a crontab or an interval, got Sunset; .*Cron.*celery beat"),
        ("object", "JSON as the argument"),
        ("unknown", "a declared task, got 'beat.nowhere'"),
        ("expires", "without expires"),
        ("both days", "a day of the month or a day of the week, got both"),
        ("too often", "an interval"),
    ],
)
def test_what_is_not_carried_over_says_why(name: str, said: str) -> None:
    program.app.conf.beat_schedule = program.refused

    found = entries()[name]

    assert found.job is None
    assert re.search(said, found.refusal), found.refusal


def test_two_entries_of_one_name_are_refused() -> None:
    entry = program.carried["hourly"]
    program.app.conf.beat_schedule = {"a b": entry, "a-b": entry}
    from failsoft.adoption.celery import beat  # noqa: PLC0415 - see above

    assert ["a name of its own" in each.refusal for each in beat.beat_entries()] == [True, True]
    with pytest.raises(OptionInvalidError, match=r"2 of 2 entries .*take them out"):
        beat.beat_jobs()


def test_a_tick_calls_the_task(failsoft: Testkit) -> None:
    from failsoft.adoption.celery import beat  # noqa: PLC0415 - see above

    made = {each.name: each for each in beat.beat_jobs()}
    failsoft.register(*made.values())
    failsoft.travel(seconds=15)
    failsoft.drain()

    assert (3, False, 0) in program.done
    failsoft.trigger(made["beat.interval"])
    for _ in range(3):
        failsoft.drain(raise_on_failure=False)
        failsoft.travel(seconds=5)
    failsoft.drain()
    assert [each for each in program.done if each[0] == "flaky"] == [("flaky", 0), ("flaky", 1)]


@pytest.fixture
def ledger(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlLedger]:
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", sqlite_url)
    monkeypatch.setenv("FAILSOFT_CALLABLES", NAME)
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        yield SqlLedger(database)


def run(*given: str) -> Result:
    return CliRunner().invoke(main, ["adopt", "import-beat", *given])


def test_the_command_lists_and_records_only_if_it_is_to(ledger: SqlLedger) -> None:
    listed = run("--json")
    assert listed.exit_code == 0, listed.output
    document = json.loads(listed.output)
    assert [each["entry"] for each in document] == sorted(program.carried)
    assert not any(each["recorded"] for each in document)
    assert not ledger.schedules()[1]

    recorded, again = run("--record"), run("--record", "--json")

    assert recorded.exit_code == 0, recorded.output
    assert "beat.hourly" in recorded.output
    assert {each.name for each in ledger.schedules()[1]} == {each["job"] for each in document}
    assert not any(each["recorded"] for each in json.loads(again.output))


def test_the_settings_of_a_command_end_with_it(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_callables(["another"])
    assert run().exit_code == 0

    assert allowed_modules() == ("another",)
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", "sqlite:////elsewhere/ledger.db")

    assert process_settings().ledger_url == "sqlite:////elsewhere/ledger.db"


def test_the_command_names_what_is_not_carried_over(ledger: SqlLedger) -> None:
    program.app.conf.beat_schedule = {**program.carried, **program.refused}

    ran = run()

    assert ran.exit_code == 1
    for name in program.refused:
        assert name in ran.output
    assert "5 schedules would be recorded" in ran.output
