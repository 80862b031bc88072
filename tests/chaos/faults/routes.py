"""What people change of routes and engines meanwhile: weights, a drained and a paused engine.

They come and go while jobs are dispatched, offered, claimed and recovered: no job may be lost, run
twice or wait for ever for it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from random import Random
from time import monotonic

from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.routing.guard import Guard
from failsoft.job_engine.records.routing.rule import RouteKind, RouteRule
from failsoft.ledger import SqlLedger
from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.topology import QUEUES, Topology
from tests.servers.processes import PATIENCE

LANE = "routes"
#: Who changes them, in the events of the ledger and in its tables.
PERSON = "chaos"
#: The pause between two tries to write to a ledger that is away, in seconds.
PAUSE = 0.3

#: Undoes a change.
Undo = Callable[[], object]
#: Makes a change, and returns it for the journal and what undoes it.
Change = Callable[[SqlLedger, Random], tuple[str, Undo]]


class RoutesFaults:
    """The changes of the routes of a topology."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def all(self) -> Sequence[Nemesis]:
        """Weights that change, of a queue or of the rest; a drained and a paused engine."""
        return [
            Nemesis("routes: weights of a queue", LANE, self._while(self._share_queue), 1.0, 4.0),
            Nemesis("routes: weights of the rest", LANE, self._while(self._share_all), 1.0, 4.0),
            Nemesis("routes: an engine is drained", LANE, self._while(self._drain), 1.0, 3.0),
            Nemesis("routes: an engine is paused", LANE, self._while(self._pause), 1.0, 3.0),
        ]

    def _while(self, change: Change) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str | None]:
            ledger = SqlLedger(self._topology.servers.database, actor=PERSON)
            try:
                what, undo = change(ledger, rng)
            except LedgerError:
                # Others strike the ledger meanwhile; perhaps it was done all the same.
                _insist(partial(self._undo_all, ledger))
                yield None
                return
            try:
                yield what
            finally:
                _insist(undo)

        return strike

    def _share_queue(self, ledger: SqlLedger, rng: Random) -> tuple[str, Undo]:
        queue = rng.choice(QUEUES)
        return self._share(ledger, rng, "queue", queue), lambda: ledger.clear_route("queue", queue)

    def _share_all(self, ledger: SqlLedger, rng: Random) -> tuple[str, Undo]:
        return self._share(ledger, rng, "default", ""), lambda: ledger.clear_route("default", "")

    def _share(self, ledger: SqlLedger, rng: Random, kind: RouteKind, name: str) -> str:
        # All of it, none of it, and anything between; a guard may take a share away meanwhile.
        share = rng.choice((0, 20, 50, 80, 100))
        first, other = rng.sample(self._topology.engines, 2)
        guard = Guard(0.05, timedelta(seconds=2)) if 0 < share < 100 else None
        rule = RouteRule(kind, name, {first: 100 - share, other: share}, PERSON, guard=guard)
        return str(ledger.set_route(rule))

    def _drain(self, ledger: SqlLedger, rng: Random) -> tuple[str, Undo]:
        engine = rng.choice(self._topology.engines)
        ledger.disable_engine(DisabledEngine(engine, PERSON))
        waiting = ledger.engine_load(engine).waiting
        for queue in waiting:
            ledger.hasten(engine, queue, timedelta(0))
        moved = sum(waiting.values())
        return f"{engine}, {moved} offers are to move", lambda: ledger.enable_engine(engine)

    def _pause(self, ledger: SqlLedger, rng: Random) -> tuple[str, Undo]:
        engine = rng.choice(self._topology.engines)
        held = ledger.pause(Pause("engine", engine, PERSON))
        return str(held), lambda: ledger.unpause("engine", engine)

    def _undo_all(self, ledger: SqlLedger) -> None:
        for rule in ledger.routes():
            ledger.clear_route(*rule.match)
        for engine in self._topology.engines:
            ledger.enable_engine(engine)
            ledger.unpause("engine", engine)


def _insist(do: Callable[[], object]) -> None:
    """Do it, if need be when the ledger is back."""
    deadline = monotonic() + PATIENCE
    while True:
        try:
            do()
        except LedgerError:
            if monotonic() > deadline:
                raise
            threading.Event().wait(PAUSE)
        else:
            return
