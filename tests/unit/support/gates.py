"""Work that hangs until a test lets it go on."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import OfferUncertainError
from tests.servers.processes import PATIENCE


def within(seconds: float) -> Deadline:
    return Deadline.after(SystemClock(), timedelta(seconds=seconds))


class Gate:
    """Work that hangs until it is let through."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self) -> str:
        self.entered.release()
        assert self.open.wait(PATIENCE)
        return "late"

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE)


def eventually(condition: Callable[[], bool]) -> bool:
    patience_ends, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition() and time.monotonic() < patience_ends:
        pause.wait(0.005)
    return condition()


def threads_of(name: str) -> int:
    return sum(thread.name == f"failsoft-{name}" for thread in threading.enumerate())


def stick(caller: BoundedCaller, work: Callable[[], object], times: int = 1) -> None:
    """Let calls hang and be given up."""
    for _ in range(times):
        with pytest.raises(OfferUncertainError):
            caller.call(work, within(0.02))
