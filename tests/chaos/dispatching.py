"""A dispatcher process: `python -m tests.chaos.dispatching`, with its orders in the environment.

It asks for work at a steady rate, cancels and reads some of it, and writes down every call and
every answer, until SIGTERM.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from tests.chaos.deeds import Request, keyed_request, request
from tests.chaos.operations import CANCEL, CONFLICT, DISPATCH, FAIL, INFO, OK, READ, OperationLog
from understudy.dispatcher import JobHandle
from understudy.job_engine.errors import DispatchError, LedgerError
from understudy.worker.logs import configure_logs
from understudy.worker.settings import load_settings
from understudy.worker.wiring import App, build

#: The environment variable with the orders, as JSON.
ORDERS = "CHAOS_ORDERS"
#: How many requests may be waiting for an answer at once.
PATIENT = 12
KEYED, CONFLICTING = 0.15, 0.03


@dataclass(frozen=True)
class Orders:
    """What a dispatcher process is told.

    Attributes:
        started: When the run began, on the monotonic clock; which key is the current one.
        rate: How many requests a second.
    """

    actor: str
    boot: int
    seed: str
    rate: float
    started: float
    log: str


class DispatcherProcess:
    """Asks for work until told to stop."""

    def __init__(self, orders: Orders, app: App) -> None:
        self._orders = orders
        self._app = app
        self._rng = Random(f"{orders.seed}:{orders.actor}:{orders.boot}")
        self._log = OperationLog(Path(orders.log), orders.actor, orders.boot)
        self._pool = ThreadPoolExecutor(PATIENT)
        self._acknowledged: set[str] = set()
        self._number = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Ask at a steady rate; what was asked is waited for at the end."""
        while not self.stopping.wait(1 / self._orders.rate):
            self._number += 1
            self._pool.submit(self._ask, self._number, *self._next())
        self._pool.shutdown()
        self._app.dispatcher.close()

    def _next(self) -> tuple[str, Request]:
        seconds = monotonic() - self._orders.started
        luck = self._rng.random()
        if luck < CONFLICTING:
            asked = keyed_request(self._orders.seed, seconds, other_work=True)
            if asked.deed.label in self._acknowledged:
                return CONFLICT, asked
        if luck < CONFLICTING + KEYED:
            return DISPATCH, keyed_request(self._orders.seed, seconds)
        label = f"{self._orders.actor}-{self._orders.boot}-{self._number}"
        return DISPATCH, request(self._rng, label)

    def _ask(self, number: int, kind: str, asked: Request) -> None:
        op = self._log.invoke(number, kind, asked.deed.label)
        try:
            handle = self._app.dispatcher.dispatch(asked.job, asked.deed, **asked.options)
        except (DispatchError, LedgerError) as error:
            outcome = INFO if isinstance(error, LedgerError) else FAIL
            self._log.answer(op, outcome, error=type(error).__name__)
            return
        self._log.answer(op, OK, handle.id, created=handle.created)
        self._acknowledged.add(asked.deed.label)
        self._follow(number, asked, handle)

    def _follow(self, number: int, asked: Request, handle: JobHandle[int]) -> None:
        if asked.cancel_after is not None:
            self.stopping.wait(asked.cancel_after)
            op = self._log.invoke(number * 1000 + 1, CANCEL, asked.deed.label, handle.id)
            self._answer(op, lambda: {"result": str(handle.cancel())})
        if asked.read_after is not None:
            self.stopping.wait(asked.read_after)
            op = self._log.invoke(number * 1000 + 2, READ, asked.deed.label, handle.id)
            self._answer(op, lambda: _seen(handle))

    def _answer(self, op: str, ask: Callable[[], dict[str, Any]]) -> None:
        try:
            answer = ask()
        except LedgerError as error:
            self._log.answer(op, INFO, error=type(error).__name__)
        else:
            self._log.answer(op, OK, **answer)


def _seen(handle: JobHandle[int]) -> dict[str, Any]:
    job = handle.job()
    return {"state": str(job.state), "epoch": job.epoch}


def main() -> None:
    """Dispatch until SIGTERM; end if the ledger is away, as somebody starts this again."""
    orders = Orders(**json.loads(os.environ[ORDERS]))
    settings = load_settings()
    configure_logs(settings)
    try:
        process = DispatcherProcess(orders, build(settings))
    except LedgerError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    signal.signal(signal.SIGTERM, lambda signum, frame: process.stopping.set())
    process.run()


if __name__ == "__main__":
    main()
