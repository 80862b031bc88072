"""A thread that is interrupted at any point of a write to SQLite leaves the others to go on.

An interrupt is raised where Python may raise one, before a call's result is used and at the
first line of a function, at each such place in turn.
"""

import dis
import sys
import threading
from collections.abc import Callable, Iterator, Sized
from contextlib import closing
from functools import cache, partial
from itertools import count, pairwise
from types import CodeType, FrameType
from typing import Any

import pytest
from sqlalchemy import text

from failsoft.ledger.database import raw_connections
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.database.sqlite import engine, write_queue
from tests.servers.processes import PATIENCE, wait_until

FILES = frozenset(str(module.__file__) for module in (write_queue, engine, raw_connections))
OTHERS = 3


class Interrupter:
    """Interrupts the thread it is started in at one place, the n-th that this thread comes to."""

    def __init__(self, place: int) -> None:
        self._left = place
        self.has_struck = False

    def start(self) -> None:
        sys.settrace(self._called)

    def _called(self, frame: FrameType, kind: str, _: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = True
        self._pass(frame)
        return self._inside

    def _inside(self, frame: FrameType, kind: str, _: Any) -> Any:
        if kind == "opcode" and frame.f_lasti in after_calls(frame.f_code):
            self._pass(frame)
        return self._inside

    def _pass(self, frame: FrameType) -> None:
        self._left -= 1
        if self._left < 0 and not self.has_struck:
            self.has_struck = True
            sys.settrace(None)
            for each in callers(frame):
                each.f_trace = None
            raise KeyboardInterrupt


@cache
def after_calls(code: CodeType) -> frozenset[int]:
    found = list(dis.get_instructions(code))
    calls = ("CALL", "CALL_FUNCTION_EX")
    return frozenset(after.offset for before, after in pairwise(found) if before.opname in calls)


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        database.make_file()
        database.write(lambda c: c.execute(text("CREATE TABLE tally (number INTEGER UNIQUE)")))
        yield database


@pytest.mark.parametrize("role", ["writes for others", "is written for"])
def test_an_interrupt_anywhere_blocks_no_other(database: Database, role: str) -> None:
    victim = 0 if role == "writes for others" else 1
    for place in count():
        interrupter = Interrupter(place)
        play = Play(database, place, victim, interrupter)
        play.begin()
        play.check()
        if not interrupter.has_struck:
            break
    # As many places as there were when this was written, about.
    assert place > (60 if role == "writes for others" else 15)


class Play:
    """One thread has the turn and writes for others; it, or the first of those, is interrupted."""

    def __init__(
        self, database: Database, place: int, victim: int, interrupter: Interrupter
    ) -> None:
        self._database = database
        self._writer: Any = database._writer
        self._numbers = range(place * 10, place * 10 + 1 + OTHERS)
        self._victim = self._numbers[victim]
        self._interrupter = interrupter
        self._threads: list[threading.Thread] = []
        self._answers: dict[int, object] = {}
        self._has_turn, self._all_there = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Let all of them write, the others when the first has the turn."""
        first, *others = self._numbers
        self._start(first, self._hold)
        self._wait(self._has_turn.is_set)
        waiting = self._writer._write_queue._waiting
        for place, number in enumerate(others, 1):
            self._start(number, insert(number))
            self._wait(partial(self._is_there, waiting, place))
        self._all_there.set()

    def check(self) -> None:
        """See that no other was interrupted, that what they were told is true, no turn lost."""
        for thread in self._threads:
            # Far from the patience with which a thread waits for a turn that is lost.
            thread.join(engine.BUSY_TIMEOUT.total_seconds() / 2)
            assert not thread.is_alive(), self._answers
        for number in set(self._numbers) - {self._victim}:
            assert self._answers[number] == number
        tally = text("SELECT number FROM tally")
        found = self._database.read(lambda c: c.execute(tally).scalars().all())
        assert {answers for answers in self._answers.values() if isinstance(answers, int)} <= set(
            found
        )
        assert self._writer._write_queue._owner is None

    def _start(self, number: int, work: Callable[[RawConnection], object]) -> None:
        thread = threading.Thread(target=self._write, args=(number, work), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _write(self, number: int, work: Callable[[RawConnection], object]) -> None:
        try:
            if number == self._victim:
                self._interrupter.start()
            self._writer.at_once(work, lambda: None)
            self._answers[number] = number
        except KeyboardInterrupt as interrupt:
            self._answers[number] = type(interrupt)
        finally:
            sys.settrace(None)

    def _hold(self, raw: RawConnection) -> None:
        self._has_turn.set()
        self._all_there.wait(PATIENCE)
        insert(self._numbers[0])(raw)

    def _is_there(self, waiting: Sized, place: int) -> bool:
        return len(waiting) >= place or not self._threads[-1].is_alive()

    def _wait(self, condition: Callable[[], bool]) -> None:
        # Who was interrupted before it came so far lets the others come to whatever is there.
        wait_until(lambda: condition() or self._answers, PATIENCE, "it is there")


def insert(number: int) -> Callable[[RawConnection], object]:
    statement = f"INSERT OR IGNORE INTO tally VALUES ({number:d})"  # noqa: S608 - a number
    return lambda raw: raw.execute(statement)
