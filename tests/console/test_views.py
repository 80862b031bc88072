"""What the screens make of what worker processes say of themselves, and of how long steps took."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from failsoft.console.views.filters import span
from failsoft.console.views.lanes import Lanes, lanes_of
from failsoft.job_engine.records.job import StepKind, StepRecord, WorkerInfo, WorkerRecord
from failsoft.ledger import SqlLedger
from failsoft.testing.ledger_suite.fixtures import LONG, claimed, offered
from tests.console.conftest import Shown, Surroundings
from tests.console.scene import scene

SAYS = WorkerInfo("1.2.3", "3.13.5", 1204, 11, 91_000, ("rq", "<nats>"))


def rows_of(page: str) -> list[list[str]]:
    """Return the texts of the cells of a page's rows."""
    found = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", each, re.DOTALL) for each in found]
    return [[" ".join(re.sub(r"<[^>]*>", " ", each).split()) for each in row] for row in cells]


def test_a_worker_is_shown_with_what_it_says_and_one_that_says_nothing_without(
    make_ledger: Callable[[], SqlLedger],
) -> None:
    ledger = make_ledger()
    for name, info in (("says", SAYS), ("silent", WorkerInfo())):
        ledger.beat(WorkerRecord(name, "dramatiq", "mail", name, 41, 16, info=info), LONG)
    shown = Shown(Surroundings(ledger), scene=scene(make_ledger()))

    rows = {row[0]: row for row in rows_of(shown.client().get("/workers").text) if row}

    says, silent = rows["says:41"], rows["silent:41"]
    assert says[3:7] == ["11 / 16", "1,204", "88 MiB", "1.2.3"]
    assert says[9] == "✕ rq ✕ &lt;nats&gt;"
    assert silent[3:7] == ["0 / 16", "0", "–", "–"]  # noqa: RUF001 - a dash, and meant
    assert silent[9] == "none"


def test_the_slots_that_are_busy_are_added_up_for_their_queue(shown: Shown) -> None:
    assert ["node-2:4102", "dramatiq", "2 / 16"] in rows_of(
        shown.client().get("/queues/data-sync").text
    )


@pytest.fixture
def drawn(make_ledger: Callable[[], SqlLedger]) -> Lanes:
    """Return the drawing of a job: a step of 0.21 s, one that took longer than its attempt ran by
    the database's clock, and one whose time is not known.
    """
    ledger = make_ledger()
    claim = claimed(ledger, offered(ledger, "rq"))
    for place, elapsed in enumerate((0.21, 1000.0, None)):
        ledger.record(claim, StepRecord(f"s-{place}", place, StepKind.RUN, "1", elapsed=elapsed))
    story = ledger.story(claim.job_id)
    begun = story.attempts[0].started_at
    found = lanes_of(story, begun + timedelta(seconds=2))
    assert found is not None
    return found


def test_a_step_says_how_long_it_took_where_that_is_known(drawn: Lanes) -> None:
    took = {row.what: row.took for row in drawn.rows}
    titles = [mark.title for mark in drawn.marks if mark.kind == "step"]

    assert [took[f"run s-{place}"] for place in range(3)] == [0.21, 1000.0, None]
    assert titles == ["step s-0: 210 ms", "step s-1: 16 m 40 s", "step s-2"]


def test_a_step_is_drawn_no_longer_than_its_attempt_ran(drawn: Lanes) -> None:
    [attempt] = [mark for mark in drawn.marks if mark.kind == "attempt"]
    steps = [mark for mark in drawn.marks if mark.kind == "step"]

    assert all(attempt.x <= step.x for step in steps)
    assert steps[1].x == attempt.x


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((None, "–"), (0.0000042, "4 µs"), (0.0042, "4.2 ms"), (4.24, "4.2 s")),  # noqa: RUF001
        *((59.6, "1 m"), (665.0, "11 m 5 s"), (12_000.0, "3 h 20 m"), (-4.2, "-4.2 s")),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert span(seconds) == text
