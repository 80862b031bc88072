"""A statement that takes long is one thing, a server that answers nothing another."""

from collections.abc import Callable

import pytest

from failsoft.ledger.database import answers
from failsoft.ledger.database.answers import Answers

WORKER, OTHER = 1, 2


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return lambda now: monkeypatch.setattr(answers, "monotonic", lambda: now)


def test_a_thread_that_waits_for_nothing_meets_no_silence(at: Callable[[float], None]) -> None:
    known = Answers()
    at(10.0)
    known.await_one(WORKER)
    known.receive(WORKER, answered=True)
    at(20.0)

    assert known.silence(WORKER) == 0.0


def test_silence_is_what_no_connection_has_an_answer_in(at: Callable[[float], None]) -> None:
    known = Answers()
    at(10.0)
    known.await_one(WORKER)
    known.await_one(OTHER)
    at(10.1)
    known.receive(OTHER, answered=True)
    at(11.0)

    assert known.silence(WORKER) == pytest.approx(0.9)


def test_a_server_that_answers_others_is_not_silent(at: Callable[[float], None]) -> None:
    known = Answers()
    at(10.0)
    known.await_one(WORKER)
    known.await_one(OTHER)
    at(10.7)
    known.receive(OTHER, answered=True)
    at(11.0)

    assert known.silence(WORKER) == 0.0


def test_a_wait_in_vain_is_no_answer(at: Callable[[float], None]) -> None:
    known = Answers()
    at(10.0)
    known.await_one(WORKER)
    known.await_one(OTHER)
    at(10.9)
    known.receive(OTHER, answered=False)
    at(11.0)

    assert known.silence(WORKER) == pytest.approx(1.0)


def test_a_fork_waits_for_nothing(at: Callable[[float], None]) -> None:
    known = Answers()
    at(10.0)
    known.await_one(WORKER)
    known.forget()
    at(11.0)

    assert known.silence(WORKER) == 0.0
