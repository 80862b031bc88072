"""What idle threads of bounded calls do, and calls that end at the last moment."""

import threading
from collections.abc import Iterator

import pytest

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, _Call, _Thread
from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError
from tests.servers.processes import PATIENCE
from tests.unit.support.gates import Gate, eventually, stick, within


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


class LateCaller(BoundedCaller):
    """Lets the work end after its deadline has passed and before it is given up."""

    def _give_up(self, call: _Call) -> EngineUnavailableError | OfferUncertainError:
        self.gate.open.set()
        assert eventually(lambda: len(self._idle) == 1)
        return super()._give_up(call)

    gate: Gate


def test_work_that_ends_at_the_very_last_moment_leaves_no_thread_counted_as_stuck(
    gate: Gate,
) -> None:
    caller = LateCaller("rq", threads=1, spare=1)
    caller.gate = gate
    with pytest.raises(OfferUncertainError):
        caller.call(gate, within(0.02))
    plain, second = BoundedCaller._give_up, Gate()
    caller._give_up = lambda call: plain(caller, call)  # type: ignore[method-assign]

    stick(caller, second)

    assert caller.call(lambda: "replaced", within(PATIENCE)) == "replaced"
    second.open.set()


def test_an_idle_thread_looks_after_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()
    monkeypatch.setattr("failsoft.dispatcher.offering.bounded_caller.IDLE_SECONDS", 0.01)
    caller = BoundedCaller("rq", threads=1, idle=looked.set)

    caller.call(lambda: None, within(PATIENCE))

    assert looked.wait(PATIENCE)


def test_a_connection_that_has_died_while_idle_stops_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = threading.Semaphore(0)

    def dead() -> None:
        looks.release()
        raise OSError("broken pipe")

    monkeypatch.setattr("failsoft.dispatcher.offering.bounded_caller.IDLE_SECONDS", 0.01)
    caller = BoundedCaller("rq", threads=1, idle=dead)
    caller.call(lambda: None, within(PATIENCE))

    assert looks.acquire(timeout=PATIENCE)
    assert looks.acquire(timeout=PATIENCE)
    assert caller.call(lambda: "next", within(PATIENCE)) == "next"


def test_a_connection_that_hangs_while_idle_does_not_keep_calls_from_the_engine(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    monkeypatch.setattr("failsoft.dispatcher.offering.bounded_caller.IDLE_SECONDS", 0.01)
    caller = BoundedCaller("rq", threads=1, idle=gate)
    caller.call(lambda: None, within(PATIENCE))
    gate.wait_until_entered()

    with pytest.raises((OfferUncertainError, EngineUnavailableError)):
        caller.call(lambda: "first", within(0.05))

    assert caller.call(lambda: "second", within(PATIENCE)) == "second"


class RushedCaller(BoundedCaller):
    """Hands a call over to a thread that is idle and does not wait for one yet."""

    def __init__(self, rushed: _Call) -> None:
        super().__init__("rq", threads=1)
        self.rushed = [rushed]
        self.settled: list[int] = []
        self.settled_too_often = threading.Event()

    def _settle(self, thread: _Thread) -> tuple[bool, bool]:
        found = super()._settle(thread)
        self.settled.append(len(self._idle))
        if len(self.settled) > 2:
            self.settled_too_often.set()
        if self.rushed:
            self._hand_over(self.rushed.pop())
        return found


def test_a_call_that_comes_before_an_idle_thread_waits_does_not_let_it_lie_idle_twice() -> None:
    rushed = _Call(lambda: "second")
    caller = RushedCaller(rushed)

    assert caller.call(lambda: "first", within(PATIENCE)) == "first"
    assert rushed.done.acquire(timeout=PATIENCE)

    assert not caller.settled_too_often.wait(0.2)
    assert caller.settled == [1, 1]
    caller.close()
