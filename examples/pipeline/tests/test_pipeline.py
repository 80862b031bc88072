"""The pipeline in memory, on the engine that is the ledger: a night, bad files, deaths, limits."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from failsoft.api import dispatch_job
from failsoft.testkit import Testkit
from pipeline.backfill import backfill
from pipeline.files import delivery
from pipeline.jobs.days import Day, Delivery, close_day, open_day, read_delivery
from pipeline.jobs.reports import publish
from pipeline.sales import BadDeliveryError, summed

DAY = date(2026, 11, 1)
NIGHT = datetime(2026, 11, 2, 2, 14, tzinfo=UTC)
HEAD = "sku,quantity,cents\n"

pytestmark = pytest.mark.failsoft(engines=("ledger",), start=NIGHT)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a folder of its own, with the deliveries of two stores."""
    monkeypatch.setenv("PIPELINE_FOLDER", str(tmp_path))
    deliver(DAY, "north", "cup,2,900\nkettle,1,4900\n")
    deliver(DAY, "south", "cup,1,900\n")
    return tmp_path


def deliver(day: date, store: str, rows: str) -> None:
    place = delivery(day, store)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(HEAD + rows)


def report(place: Path, day: date = DAY) -> str:
    return (place / "reports" / f"{day}.md").read_text()


WHOLE = """# 2026-11-01

Turnover: 76.00
Left out: none

| product | sold |
|---|---|
| cup | 3 |
| kettle | 1 |
"""


def test_a_night_becomes_a_report(failsoft: Testkit, place: Path) -> None:
    failsoft.travel(minutes=2)
    failsoft.drain()

    assert len(failsoft.dispatched(read_delivery)) == 2
    assert failsoft.job(publish).result() == "2026-11-01.md"
    assert report(place) == WHOLE


def test_a_bad_delivery_is_left_out_and_named(failsoft: Testkit, place: Path) -> None:
    deliver(DAY, "east", "cup,1,900\ncup,minus one,900\n")
    dispatch_job(open_day, Day(day=DAY))
    failsoft.drain(raise_on_failure=False)
    failsoft.drain()

    assert "Left out: east\n" in report(place)
    assert "Turnover: 76.00\n" in report(place)


@pytest.mark.parametrize("step", ["stores", "start", "collect", "report", "write"])
@pytest.mark.parametrize("moment", ["during", "after"])
def test_a_day_is_reported_once_wherever_a_worker_dies(
    moment: str, step: str, failsoft: Testkit, place: Path
) -> None:
    dispatch_job(open_day, Day(day=DAY))
    {"during": failsoft.die_during_step, "after": failsoft.die_after_step}[moment](step)
    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    for job in close_day, publish:
        assert len(failsoft.dispatched(job)) == 1
    assert report(place) == WHOLE


def test_the_deliveries_of_a_store_wait_for_their_turn(failsoft: Testkit) -> None:
    days = [date(2026, 11, day) for day in range(1, 6)]
    for day in days:
        deliver(day, "north", "cup,1,900\n")
    handles = [dispatch_job(read_delivery, Delivery(day=day, store="north")) for day in days]
    elsewhere = dispatch_job(read_delivery, Delivery(day=DAY, store="south"))

    failsoft.travel(seconds=30)
    failsoft.drain()
    assert sum(handle.status() == "succeeded" for handle in handles) <= 3
    for _ in days:
        failsoft.travel(minutes=1)
        failsoft.drain()
    for handle in (*handles, elsewhere):
        failsoft.assert_state(handle, "succeeded")


def test_a_day_is_filled_in_once(failsoft: Testkit, place: Path) -> None:
    later = date(2026, 11, 2)
    deliver(later, "north", "cup,1,900\n")
    assert backfill(DAY, later) == backfill(DAY, later) == ["open-2026-11-01", "open-2026-11-02"]
    failsoft.drain()

    assert report(place) == WHOLE
    assert "Turnover: 9.00\n" in report(place, later)


@pytest.mark.parametrize(
    ("row", "said"),
    [("cup,0,900", "row 2: quantity"), ("cup,1", "row 2: cents"), ("cup,1,free", "row 2: cents")],
)
def test_a_row_that_cannot_be_read_is_named(row: str, said: str) -> None:
    with pytest.raises(BadDeliveryError, match=said):
        summed([HEAD, "cup,1,900\n", f"{row}\n"])
