"""An instant says by which clock it was written; a span ends where the clock has leapt over it."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from failsoft.ledger import SqlLedger
from failsoft.ledger.database.database import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.chaos.check_tests.sound_history import SECOND, instant
from tests.chaos.faults.clock import ClockFaults
from tests.chaos.history.timeline import (
    AHEAD,
    BEHIND,
    EPOCH,
    JUMP,
    RIGHT,
    Leap,
    Timeline,
    mark_of,
    marked,
)
from tests.chaos.system import ledger_clock
from tests.chaos.system.ledger_clock import MovedClock
from tests.chaos.system.skew import Skew, build_library
from tests.servers.processes import Processes

TELLS = """
import time
print("told", time.time_ns(), flush=True)
"""


def leap(seconds: float, mark: int) -> Leap:
    at = int(seconds * SECOND)
    return Leap(at, at + 1000, mark)


#: Ahead from 10 to 14, behind from 20 to 24.
JUMPED = Timeline(0, [leap(10, AHEAD), leap(14, RIGHT), leap(20, BEHIND), leap(24, RIGHT)])


def at(seconds: float) -> int:
    return int(seconds * SECOND)


@pytest.mark.parametrize("mark", [RIGHT, AHEAD, BEHIND])
@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=2), timedelta(milliseconds=-1)])
def test_an_instant_is_mapped_by_the_clock_that_wrote_it(mark: int, span: timedelta) -> None:
    written = instant(100) + marked(mark)

    assert mark_of(written + span) == mark
    assert Timeline().at(written + span) == at(100) + span // timedelta(microseconds=1)


def test_an_instant_of_a_clock_that_was_ahead_is_not_taken_for_that_of_a_later_one() -> None:
    early, late = instant(12) + marked(AHEAD), instant(12) + JUMP

    assert abs(early - late) < timedelta(milliseconds=1)
    assert (JUMPED.at(early), JUMPED.at(late)) == (at(12), at(12) + int(JUMP / EPOCH.resolution))


def test_the_wall_clock_is_another_than_the_monotonic_one() -> None:
    assert Timeline(at(40)).at(instant(100) + marked(BEHIND)) == at(60)


@pytest.mark.parametrize(
    ("since", "over"),
    [
        (1, 3),
        pytest.param(9, 10, id="it leaps ahead meanwhile"),
        pytest.param(11, 13, id="while it is ahead"),
        pytest.param(13, 15, id="it goes back meanwhile: what was written waits for its span"),
        pytest.param(19, 21, id="it leaps back meanwhile"),
        pytest.param(23, 24, id="it was behind, and is right again"),
        (25, 27),
    ],
)
def test_a_span_of_two_seconds_is_over(since: float, over: float) -> None:
    assert JUMPED.passed(at(since), at(2)) == at(over)


@pytest.mark.parametrize(
    ("moment", "reading"),
    [
        (8, 8),
        pytest.param(22, 10, id="that the clock leaps over"),
        pytest.param(10 + 75, 10, id="where it leaps to"),
        pytest.param(12 + 75, 12, id="while it is ahead"),
        pytest.param(15 + 75, 90, id="that it does not come to before it is right again"),
    ],
)
def test_a_moment_is_first_read(moment: float, reading: float) -> None:
    assert JUMPED.first_told(instant(moment)) == at(reading)


@pytest.mark.parametrize("mark", [AHEAD, BEHIND])
def test_what_a_moved_host_says_is_marked(tmp_path: Path, processes: Processes, mark: int) -> None:
    library = build_library(tmp_path)
    if library is None:
        pytest.skip("expected a C compiler for Linux")
    skew = Skew(tmp_path / "offset", library)
    clock = ledger_clock.of_host(skew)
    clock.set(mark)

    process = processes.python("-c", TELLS, env=skew.environment)
    assert process.wait() == 0

    reading = EPOCH + timedelta(microseconds=int(process.output.split("told ")[1]) // 1000)
    assert (mark_of(reading), clock.leaps[-1].mark) == (mark, mark)
    assert abs(reading - marked(mark) - datetime.now(UTC)) < JUMP / 2


@pytest.mark.parametrize("mark", [AHEAD, BEHIND])
def test_what_a_moved_database_writes_is_marked(postgres_url: str, mark: int) -> None:
    with closing(Database(postgres_url)) as database:
        clock = ledger_clock.of_database(database)
        upgrade(database)
        right = SqlLedger(database).clock().now
        clock.set(mark)
        wrong = SqlLedger(database).clock().now
        clock.heal()

        assert (mark_of(right), mark_of(wrong)) == (RIGHT, mark)
        assert abs(wrong - marked(mark) - right) < JUMP / 2
        assert mark_of(SqlLedger(database).clock().now) == RIGHT
        assert [leap.mark for leap in clock.leaps] == [mark, RIGHT]


def test_the_clock_is_right_after_each_jump_and_every_jump_is_remembered() -> None:
    moves: list[timedelta] = []

    def move(ahead: timedelta) -> bool:
        moves.append(ahead)
        # What was out of reach at first is set all the same.
        return len(moves) != 1

    clock = MovedClock(move)
    for nemesis in ClockFaults(clock).all():
        with nemesis.strike(Random(1)) as hit:
            assert hit is not None

    assert [each.mark for each in clock.leaps] == [AHEAD, RIGHT, BEHIND, RIGHT]
    assert moves[0] == moves[1] == JUMP + timedelta(microseconds=1)
    assert all(each.earliest <= each.latest for each in clock.leaps)


def test_a_clock_that_cannot_be_moved_has_no_nemesis() -> None:
    assert not ClockFaults(None).all()
