"""`Cron` and `Every`: which moments are ticks, on every day of the year."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from failsoft.job_engine import Cron, Debounce, Every, JobContext, declare_job, job
from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.policies.schedule import Schedule, schedule_of

MADRID, NEW_YORK = "Europe/Madrid", "America/New_York"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Empty(BaseModel):
    user_id: int = 7


class Needy(BaseModel):
    user_id: int


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(schedule: Schedule, first: str, until: str) -> list[str]:
    found = schedule.ticks(at(first), at(until), 1000)
    return [tick.strftime("%dT%H:%M") for tick in found]


@pytest.mark.parametrize(
    ("zone", "begin", "end", "expression", "ticks"),
    [
        # Spring: the clocks leap over the fixed time, which is fired when they have leapt.
        (MADRID, "2026-03-28T12:00", "2026-03-30T12:00", "30 2 * * *", ["29T01:00", "30T00:30"]),
        (NEW_YORK, "2026-03-07T20:00", "2026-03-09T12:00", "30 2 * * *", ["08T07:00", "09T06:30"]),
        (MADRID, "2026-03-29T00:00", "2026-03-29T02:00", "0 2,3 * * *", ["29T01:00"]),
        # Autumn: the fixed time comes twice, and is fired the first time.
        (MADRID, "2026-10-24T12:00", "2026-10-26T12:00", "30 2 * * *", ["25T00:30", "26T01:30"]),
        (NEW_YORK, "2026-10-31T20:00", "2026-11-02T12:00", "30 1 * * *", ["01T05:30", "02T06:30"]),
        # What runs every hour does so through both.
        (MADRID, "2026-10-25T00:00", "2026-10-25T02:00", "0 * * * *", 3 * [""]),
        (MADRID, "2026-03-29T00:00", "2026-03-29T02:00", "0 * * * *", 3 * [""]),
        (NEW_YORK, "2026-11-01T04:00", "2026-11-01T07:00", "*/30 * * * *", 7 * [""]),
        (MADRID, "2026-03-28T23:00", "2026-03-29T21:59", "0 */6 * * *", 4 * [""]),
        (MADRID, "2026-10-24T22:00", "2026-10-25T22:59", "0 */6 * * *", 4 * [""]),
    ],
)
def test_the_clocks_change(
    zone: str, begin: str, end: str, *, expression: str, ticks: list[str]
) -> None:
    found = between(Cron(expression, tz=zone), begin, end)

    assert len(found) == len(ticks), found
    assert all(tick in ("", each) for tick, each in zip(ticks, found, strict=True)), found


def test_within_the_hour_that_comes_twice_no_tick_is_fired_again() -> None:
    second_half_past_two = at("2026-10-25T01:10")

    assert Cron("30 2 * * *", tz=MADRID).after(second_half_past_two) == at("2026-10-26T01:30")


def test_an_interval_counts_in_absolute_time() -> None:
    every = Every(timedelta(hours=6))

    assert between(every, "2026-03-28T18:00", "2026-03-29T18:00") == [
        "28T18:00",
        "29T00:00",
        "29T06:00",
        "29T12:00",
        "29T18:00",
    ]


@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 */6 * * *", "0 9 * * 1-5", "5 4 29 2 *"]),
    st.sampled_from([MADRID, NEW_YORK, "UTC", "Asia/Kolkata", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_next_tick_lies_ahead_and_nothing_between(
    expression: str, zone: str, moment: datetime
) -> None:
    cron = Cron(expression, tz=zone)

    tick = cron.after(moment)

    assert tick > moment
    assert cron.after(tick - timedelta(microseconds=1)) == tick
    assert tick in cron.ticks(tick, tick + HOUR, 1000)
    assert not cron.ticks(moment + timedelta(microseconds=1), tick - timedelta(microseconds=1), 9)


def test_the_newest_ticks_are_found_however_long_ago_the_first_was() -> None:
    now = at("2026-01-01T12:00:30")

    every_minute = Cron("* * * * *").ticks(at("1990-01-01T00:00"), now, 2)
    leap_days = Cron("0 0 29 2 *").ticks(at("1990-01-01T00:00"), now, 2)

    assert every_minute == [at("2026-01-01T11:59"), at("2026-01-01T12:00")]
    assert leap_days == [at("2020-02-29T00:00"), at("2024-02-29T00:00")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cron("0 0 30 2 *"), "comes true at some time"),
        (lambda: Cron("0 0 31 4,6 *"), "comes true at some time"),
        (lambda: Cron("61 * * * *"), "minute"),
        (lambda: Cron("* * * * * *"), "five fields"),
        (lambda: Cron("@daily"), "five fields"),
        (lambda: Cron(""), "five fields"),
        (lambda: Cron("* * * * *", tz="Mars/Olympus"), "time zone"),
        (lambda: Cron("* * * * *", tz="../../etc/passwd"), "time zone"),
        (lambda: Cron("* * * * *", missed="never"), "skip, latest or all"),
        (lambda: Cron("* * * * *", overlap="queue"), "allow or skip"),
        (lambda: Cron("* * * * *", jitter=-HOUR), "jitter"),
        (lambda: Cron("* * * * *", missed="all", overlap="skip"), "contradict"),
        (lambda: Every(timedelta(0)), "interval"),
        (lambda: Every(-HOUR), "interval"),
        (lambda: Every(timedelta(milliseconds=999)), "interval"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_a_scheduled_job_has_a_payload() -> None:
    hourly = Every(HOUR)

    declare_job("fine", payload=Empty, schedule=hourly)
    declare_job("given", payload=Needy, schedule=Every(HOUR, payload=Needy(user_id=1)))

    with pytest.raises(DefinitionError, match=r"payload=\.\.\.\), got: user_id"):
        declare_job("needy", payload=Needy, schedule=hourly)
    with pytest.raises(DefinitionError, match="of type Needy"):
        declare_job("other", payload=Needy, schedule=Every(HOUR, payload=Empty()))


def test_a_scheduled_job_is_not_debounced() -> None:
    with pytest.raises(DefinitionError, match="a schedule or a debounce"):
        declare_job(
            "both",
            payload=Empty,
            schedule=Every(HOUR),
            debounce=Debounce(by=("user_id",), period=HOUR),
        )


def test_a_job_is_scheduled_where_it_is_defined() -> None:
    @job(schedule=Cron("0 */6 * * *", tz=MADRID))
    def sweep(payload: Empty, ctx: JobContext) -> None:
        return None

    assert sweep.schedule == Cron("0 */6 * * *", tz=MADRID)


@pytest.mark.parametrize(
    "schedule",
    [
        Cron("0 */6 * * *", tz=MADRID, missed="all"),
        Every(timedelta(seconds=90), overlap="skip", jitter=timedelta(seconds=3)),
    ],
)
def test_the_ledger_keeps_what_it_needs_to_know_the_ticks(schedule: Schedule) -> None:
    assert schedule_of(schedule.spec(None)) == schedule
    assert schedule.spec('{"user_id": 7}') != schedule.spec(None)
