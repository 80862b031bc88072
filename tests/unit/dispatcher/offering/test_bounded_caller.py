"""Calls with a deadline of our own."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, DirectCaller, nothing
from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError
from failsoft.testing.engine_suite.stopwatch import Stopwatch
from tests.servers.processes import PATIENCE
from tests.unit.support.attempts import exit_code_of_a_child
from tests.unit.support.gates import Gate, eventually, stick, threads_of, within


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_a_call_returns_what_the_work_returns() -> None:
    assert BoundedCaller("rq", threads=1).call(lambda: 42, within(PATIENCE)) == 42


def test_an_error_of_the_work_is_raised_where_the_call_was_made() -> None:
    def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        BoundedCaller("rq", threads=1).call(work, within(PATIENCE))


def test_a_timeout_of_the_work_is_not_taken_for_ours() -> None:
    def work() -> None:
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        BoundedCaller("rq", threads=1).call(work, within(PATIENCE))


def test_the_work_runs_in_another_thread() -> None:
    caller = BoundedCaller("rq", threads=1)

    thread = caller.call(threading.current_thread, within(PATIENCE))

    assert thread is not threading.current_thread()
    assert (thread.name, thread.daemon) == ("failsoft-rq", True)


def test_one_thread_serves_many_calls() -> None:
    caller = BoundedCaller("rq", threads=8)

    threads = {caller.call(threading.get_ident, within(PATIENCE)) for _ in range(50)}

    assert len(threads) <= 2


def test_a_call_comes_back_by_its_deadline(gate: Gate) -> None:
    started = time.monotonic()

    with Stopwatch() as watch, pytest.raises(OfferUncertainError, match="did not answer in time"):
        BoundedCaller("rq", threads=1).call(gate, within(0.2))

    assert time.monotonic() - started >= 0.2
    assert watch.elapsed < timedelta(seconds=1)


def test_a_deadline_that_has_passed_leaves_no_time() -> None:
    late = (EngineUnavailableError, OfferUncertainError)

    with Stopwatch() as watch, pytest.raises(late):
        BoundedCaller("rq", threads=1).call(lambda: time.sleep(1), within(0))

    assert watch.elapsed < timedelta(seconds=0.5)


def test_a_thread_that_is_stuck_is_replaced(gate: Gate) -> None:
    caller = BoundedCaller("rq", threads=1)
    stick(caller, gate)

    assert caller.call(lambda: "next", within(PATIENCE)) == "next"


def test_who_waits_behind_a_stuck_thread_gets_another(gate: Gate) -> None:
    caller, results = BoundedCaller("rq", threads=1), []
    stuck = threading.Thread(target=stick, args=(caller, gate))
    stuck.start()
    gate.wait_until_entered()

    results.append(caller.call(lambda: "next", within(PATIENCE)))
    stuck.join(PATIENCE)

    assert results == ["next"]


def test_a_call_that_never_began_is_called_off_and_known_not_to_have_arrived(gate: Gate) -> None:
    caller, calls = BoundedCaller("rq", threads=1), []
    patient = threading.Thread(target=lambda: caller.call(gate, within(PATIENCE)))
    patient.start()
    gate.wait_until_entered()

    with pytest.raises(EngineUnavailableError, match="busy"):
        caller.call(lambda: calls.append("too late"), within(0.05))
    gate.open.set()
    patient.join(PATIENCE)

    assert caller.call(lambda: "next", within(PATIENCE)) == "next"
    assert calls == []


def test_so_many_calls_run_side_by_side_and_no_more(gate: Gate) -> None:
    caller = BoundedCaller("rq", threads=3)
    threads = [
        threading.Thread(target=lambda: caller.call(gate, within(PATIENCE))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        gate.wait_until_entered()

    with pytest.raises(EngineUnavailableError):
        caller.call(lambda: "a fourth", within(0.05))
    gate.open.set()
    for thread in threads:
        thread.join(PATIENCE)


def test_a_server_that_never_answers_does_not_cost_a_thread_for_each_call(gate: Gate) -> None:
    caller = BoundedCaller("silent", threads=1, spare=3)

    for _ in range(10):
        with pytest.raises((OfferUncertainError, EngineUnavailableError)):
            caller.call(gate, within(0.01))

    assert threads_of("silent") <= 1 + 3


def test_threads_that_come_back_are_used_again(gate: Gate) -> None:
    caller = BoundedCaller("rq", threads=1, spare=1)
    for _ in range(4):
        with pytest.raises((OfferUncertainError, EngineUnavailableError)):
            caller.call(gate, within(0.02))

    gate.open.set()

    assert caller.call(lambda: "back", within(PATIENCE)) == "back"


def test_a_thread_that_comes_back_after_it_was_replaced_ends(gate: Gate) -> None:
    caller = BoundedCaller("replaced", threads=1)
    stick(caller, gate, times=3)
    caller.call(lambda: None, within(PATIENCE))

    gate.open.set()

    assert eventually(lambda: threads_of("replaced") == 1)


def test_a_thread_that_comes_back_to_no_place_closes_its_connection(gate: Gate) -> None:
    ended: list[int] = []
    caller = BoundedCaller(
        "surplus", threads=1, on_thread_end=lambda: ended.append(threading.get_ident())
    )
    stick(caller, gate)
    in_its_place = caller.call(threading.get_ident, within(PATIENCE))

    gate.open.set()

    assert eventually(lambda: len(ended) == 1)
    assert ended != [in_its_place]


@pytest.mark.parametrize("hook", ["on_thread_end", "last"])
def test_closing_ends_the_threads_and_their_connections(hook: str) -> None:
    ended: list[str] = []

    def end() -> None:
        ended.append(threading.current_thread().name)

    caller = BoundedCaller(
        "closing",
        threads=8,
        on_thread_end=end if hook == "on_thread_end" else nothing,
        last=end if hook == "last" else nothing,
    )
    both_in = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(caller.call, both_in.wait, within(PATIENCE)) for _ in range(2)]
        assert sorted(each.result(PATIENCE) for each in calls) == [0, 1]

    caller.close()

    assert eventually(lambda: threads_of("closing") == 0)
    assert ended == ["failsoft-closing"] * 2


def test_a_stuck_thread_ends_when_its_call_does(gate: Gate) -> None:
    caller = BoundedCaller("stuck-and-closed", threads=1)
    stick(caller, gate)

    caller.close()
    assert threads_of("stuck-and-closed") == 1
    gate.open.set()

    assert eventually(lambda: threads_of("stuck-and-closed") == 0)


def test_who_calls_after_closing_gets_a_new_thread() -> None:
    caller = BoundedCaller("again", threads=1)
    assert caller.call(lambda: 1, within(PATIENCE)) == 1
    caller.close()
    assert eventually(lambda: threads_of("again") == 0)

    assert caller.call(lambda: 2, within(PATIENCE)) == 2
    assert threads_of("again") == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own() -> None:
    caller = BoundedCaller("rq", threads=1)
    caller.call(lambda: None, within(PATIENCE))

    assert exit_code_of_a_child(lambda: caller.call(lambda: 7, within(PATIENCE))) == 7


def test_a_direct_call_runs_here_and_now() -> None:
    assert DirectCaller().call(threading.get_ident, within(0)) == threading.get_ident()
