"""What idle threads of bounded calls do, and calls that end at the last moment."""

import threading
from collections.abc import Iterator

import pytest

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, _Call
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
