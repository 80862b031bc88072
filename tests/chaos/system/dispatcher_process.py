"""A dispatcher process; its orders are in the environment.

    python -m tests.chaos.system.dispatcher_process

It requests work at a steady rate, cancels and reads some of it, and writes down every call and
every answer, until SIGTERM.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from failsoft.dispatcher import JobHandle
from failsoft.job_engine.errors import DispatchError, LedgerError
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.logs.output import configure_logs
from failsoft.worker.wiring import App, build
from tests.chaos.workload.handlers import EVENT
from tests.chaos.workload.operations import (
    BROKEN,
    CANCEL,
    CONFLICT,
    DISPATCH,
    FAIL,
    INFO,
    OK,
    READ,
    SEND,
    OperationLog,
)
from tests.chaos.workload.random_requests import keyed_request, request
from tests.chaos.workload.requests import Answer, Later, Request
from tests.chaos.workload.script import Script

#: The environment variable with the orders, as JSON.
ORDERS = "CHAOS_ORDERS"
#: How many requests may be waiting for an answer at once.
PATIENT = 12
KEYED, CONFLICTING = 0.15, 0.03


@dataclass(frozen=True)
class Orders:
    """What a dispatcher process is given.

    Attributes:
        started: When the run began, on the monotonic clock; which key is the current one.
        rate: How many requests a second.
        engines: Those of the run, in order of preference.
    """

    actor: str
    boot: str
    seed: str
    rate: float
    started: float
    log: str
    engines: Sequence[str]


class DispatcherProcess:
    """Requests work until stopped."""

    def __init__(self, orders: Orders, app: App) -> None:
        self._orders = orders
        self._app = app
        self._rng = Random(f"{orders.seed}:{orders.actor}:{orders.boot}")
        self._log = OperationLog(Path(orders.log), orders.actor, orders.boot)
        self._pool = ThreadPoolExecutor(PATIENT)
        self._acknowledged: set[str] = set()
        self._number = 0
        self.stopping = threading.Event()

    def run(self, *, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Make requests at a steady rate, as long as it goes on; wait for all at the end."""
        while goes_on() and not self.stopping.wait(1 / self._orders.rate):
            self._number += 1
            self._pool.submit(self._try_to_send, self._number, *self._next())
        self._pool.shutdown()
        self._app.dispatcher.close()

    def request_once(self) -> None:
        """Make one request, and wait for the answer."""
        self._number += 1
        self._try_to_send(self._number, *self._next())

    def tell_broken(self, what: str) -> None:
        """Write down an error of the harness's own, for the report."""
        self._number += 1
        op = self._log.invoke(f"{self._number}_broken", BROKEN, "")
        self._log.answer(op, INFO, error=what)

    def _next(self) -> tuple[str, Request]:
        seconds = monotonic() - self._orders.started
        luck = self._rng.random()
        if luck < CONFLICTING:
            other = keyed_request(self._orders.seed, seconds, other_work=True)
            if other.script.label in self._acknowledged:
                return CONFLICT, other
        if luck < CONFLICTING + KEYED:
            return DISPATCH, keyed_request(self._orders.seed, seconds)
        label = f"{self._orders.actor}-{self._orders.boot}-{self._number}"
        made = request(self._rng, label, self._orders.engines)
        return made.kind, made

    def _try_to_send(self, number: int, kind: str, made: Request) -> None:
        try:
            self._send_all(number, kind, made)
        except Exception:  # noqa: BLE001 - reported, lest it be lost with the thread
            self.tell_broken(traceback.format_exc())

    def _send_all(self, number: int, kind: str, made: Request) -> None:
        """Make the request, noting an operation for each of its jobs."""
        labels = [script.label for script in made.scripts]
        ops = [self._log.invoke(f"{number}_{n}", kind, label) for n, label in enumerate(labels)]
        try:
            answers = made.send(self._app.dispatcher)
        except (DispatchError, LedgerError) as error:
            answers = [error] * len(ops)
        for op, label, answer in zip(ops, labels, answers, strict=True):
            self._note(op, label, answer, way=type(made).__name__)
        if isinstance(answers[0], JobHandle):
            self._follow(number, made.scripts[0], made.later, answers[0])

    def _note(self, op: str, label: str, answer: Answer, *, way: str) -> None:
        if isinstance(answer, JobHandle):
            self._log.answer(op, OK, answer.id, created=answer.created, way=way)
            self._acknowledged.add(label)
        else:
            outcome = INFO if isinstance(answer, LedgerError) else FAIL
            self._log.answer(op, outcome, error=type(answer).__name__)

    def _follow(self, number: int, script: Script, later: Later, handle: JobHandle[int]) -> None:
        for n, seconds in enumerate(later.sends):
            self.stopping.wait(seconds)
            op = self._log.invoke(f"{number}_send_{n}", SEND, script.label, handle.id)
            self._answer(op, partial(self._send, op, script, handle.id))
        if later.cancel is not None:
            self.stopping.wait(later.cancel)
            op = self._log.invoke(f"{number}_cancel", CANCEL, script.label, handle.id)
            self._answer(op, lambda: {"result": str(handle.cancel())})
        if later.read is not None:
            self.stopping.wait(later.read)
            op = self._log.invoke(f"{number}_read", READ, script.label, handle.id)
            self._answer(op, lambda: _seen(handle))

    def _send(self, op: str, script: Script, job_id: str) -> dict[str, Any]:
        to, key = (None, script.label) if script.by_key else (job_id, None)
        # Twice: an event that is known is not kept again.
        for _ in range(2):
            self._app.dispatcher.send_event(EVENT, op, to=to, key=key, event_id=op)
        return {}

    def _answer(self, op: str, call: Callable[[], dict[str, Any]]) -> None:
        try:
            answer = call()
        except LedgerError as error:
            self._log.answer(op, INFO, error=type(error).__name__)
        else:
            self._log.answer(op, OK, **answer)


def _seen(handle: JobHandle[int]) -> dict[str, Any]:
    job = handle.job()
    return {"state": str(job.state), "epoch": job.epoch}


def begin() -> tuple[Orders, App]:
    """Read the orders and build what dispatches; end if the ledger is away."""
    orders = Orders(**json.loads(os.environ[ORDERS]))
    settings = load_settings()
    configure_logs(settings)
    try:
        return orders, build(settings)
    except LedgerError as error:
        # The run starts this again.
        sys.exit(f"{type(error).__name__}: {error}")


def main() -> None:
    """Dispatch until SIGTERM."""
    process = DispatcherProcess(*begin())
    signal.signal(signal.SIGTERM, lambda signum, frame: process.stopping.set())
    process.run()


if __name__ == "__main__":
    main()
