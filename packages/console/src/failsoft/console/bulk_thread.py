"""What carries bulks on: a worker where one serves, or else a thread of the console's process."""

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

from failsoft.console.environment import Environment, Ledger
from failsoft.job_engine.clock import Clock, SystemClock
from failsoft.job_engine.errors import FailsoftError, LedgerUnavailableError
from failsoft.job_engine.jobs.scheduled.bulk_action import (
    BulkTurns,
    bulk_action,
    job_id_of,
    take_turns,
)
from failsoft.job_engine.ports.console import BulkRecord, BulkState

logger: logging.Logger = logging.getLogger("failsoft.console")

#: How long a bulk that a worker is to carry on may stand still until this process does it.
PATIENCE = timedelta(seconds=10)
#: The pause between two looks at what a worker has done, and while the ledger is away.
LOOK_SECONDS = 0.5
AWAY_SECONDS = 2.0
#: The pause after turns, for the other writers.
PAUSE_SECONDS = 0.01


@dataclass(slots=True)
class _Carried:
    """A bulk, and what is to carry it on.

    Attributes:
        by_worker: Whether a worker is to; None before that is decided.
        seen: How many jobs it had been through when it was seen to move last.
        since: When that was, on the clock's steady scale.
    """

    bulk_id: str
    by_worker: bool | None = None
    seen: int = 0
    since: float = 0.0


class BulkThread:
    """One thread for all bulks of this process; it ends with the last of them.

    It dispatches the job `bulk_action` for each where a live worker serves its queue, and watches
    that it goes on. Where no worker does, or none moves it on, the thread takes the turns itself:
    no worker and no engine is needed. Several may turn the same bulk: each turn is one
    transaction, and each moves it on.
    """

    def __init__(self, patience: timedelta = PATIENCE, clock: Clock | None = None) -> None:
        """Begin with no bulk.

        Args:
            patience: How long one that a worker is to carry on may stand still.
            clock: Measures that.
        """
        self._patience = patience.total_seconds()
        self._clock: Clock = SystemClock() if clock is None else clock
        self._lock = threading.Lock()
        self._waiting: list[_Carried] = []
        self._thread: threading.Thread | None = None
        self._stops = threading.Event()

    def begin(self, environment: Environment, bulk_id: str) -> None:
        """Carry a bulk on until it is through; nothing where that is done already."""
        with self._lock:
            if self._stops.is_set() or any(each.bulk_id == bulk_id for each in self._waiting):
                return
            self._waiting.append(_Carried(bulk_id))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(environment,), name="failsoft-bulks", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Take no further turn, and wait for the one that is taken.

        The bulks stand still until one of them is begun again, here or in another process.
        """
        self._stops.set()
        if (thread := self._thread) is not None:
            thread.join()
        with self._lock:
            self._waiting.clear()
            self._stops.clear()

    def _run(self, environment: Environment) -> None:
        while (carried := self._next()) is not None:
            pause = PAUSE_SECONDS
            try:
                record = self._carry_on(environment, carried)
                is_over = record.state is not BulkState.RUNNING
                pause = LOOK_SECONDS if carried.by_worker else PAUSE_SECONDS
            except LedgerUnavailableError:
                is_over, pause = False, AWAY_SECONDS
            except FailsoftError:
                logger.exception("bulk %s has no further turn here", carried.bulk_id)
                is_over = True
            self._note(carried, is_over=is_over)
            self._stops.wait(pause)

    def _carry_on(self, environment: Environment, carried: _Carried) -> BulkRecord:
        ledger = environment.ledger()
        if carried.by_worker is None:
            carried.since = self._clock.steady()
            carried.by_worker = _is_served(ledger) and _is_dispatched(environment, carried.bulk_id)
        if carried.by_worker:
            record = ledger.bulk(carried.bulk_id)
            if record.state is not BulkState.RUNNING or self._moves(record, carried):
                return record
            logger.warning("no worker carries bulk %s on; its turns are taken here", record.id)
            carried.by_worker = False
        return take_turns(ledger, carried.bulk_id, self._clock)

    def _moves(self, record: BulkRecord, carried: _Carried) -> bool:
        """Return whether a bulk has moved on, or may still do so."""
        now, through = self._clock.steady(), record.done + record.failed
        if through != carried.seen:
            carried.seen, carried.since = through, now
        return now - carried.since < self._patience

    def _next(self) -> _Carried | None:
        with self._lock:
            if self._waiting and not self._stops.is_set():
                return self._waiting[0]
            self._thread = None
            return None

    def _note(self, carried: _Carried, *, is_over: bool) -> None:
        with self._lock:
            self._waiting.remove(carried)
            if not is_over:
                # Behind the others: a long one keeps no short one waiting.
                self._waiting.append(carried)


def _is_served(ledger: Ledger) -> bool:
    return any(each.queue == bulk_action.queue.name for each in ledger.live_workers())


def _is_dispatched(environment: Environment, bulk_id: str) -> bool:
    """Dispatch the job of a bulk, once; return whether it is in the ledger."""
    payload = BulkTurns(bulk_id=bulk_id)
    try:
        environment.dispatcher().dispatch(bulk_action, payload, job_id=job_id_of(bulk_id))
    except FailsoftError as error:
        logger.warning("the job of bulk %s was not dispatched: %s", bulk_id, error)
        return False
    return True
