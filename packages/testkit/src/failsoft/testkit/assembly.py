"""Putting a dispatcher and its maintenance together, as a worker does."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.stager import Stager
from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.dispatcher.offering.engines import Engine, EngineSet
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import LiveWorkers, Router
from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.telemetry import Event
from failsoft.testkit.results import ProcessDied

#: How an engine that failed comes back: as soon as probes find it.
POLICY = BreakerPolicy(ramp=timedelta(0))
#: What makes the order of chances the same in every run.
SEED = 1


class QuietEngineSet(EngineSet):
    """Probes when the kit looks, and not in a thread of its own."""

    def watch_in_background(self) -> None:
        """Start no thread."""


def _noted(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a way to dispatch that shows the kit its definitions, and what came of them."""

    @wraps(method)
    def dispatch(self: "KitDispatcher", *given: Any, **options: Any) -> Any:
        for each in definitions_in([*given, *options.values()]):
            self.register(each)
        with self.dying():
            found = method(self, *given, **options)
        is_new = isinstance(found, JobHandle) and found.created
        self.dispatched(found.id if is_new else "", options)
        return found

    return dispatch


class KitDispatcher(Dispatcher):
    """`Dispatcher` that shows the kit each job that this process dispatches.

    Attributes:
        register: Called with each definition, before its job is recorded.
        dispatched: Called after each dispatch, with the id of its job and its options; an
            empty id stands for many jobs, or for none that is new.
        died: Called when the process died that dispatched.
    """

    register: Callable[[AnyDefinition], object] = staticmethod(lambda definition: None)
    dispatched: Callable[[str, Mapping[str, Any]], object] = staticmethod(lambda job_id, opts: None)
    died: Callable[[], object] = staticmethod(lambda: None)

    @property
    def clock(self) -> Clock:
        """The clock that it reads."""
        return self._clock

    @contextmanager
    def dying(self) -> Iterator[None]:
        """Say so if the process died in the block."""
        try:
            yield
        except ProcessDied:
            self.died()
            raise


# Not by definitions of their own, which would repeat four signatures.
for _way in ("dispatch", "dispatch_many", "dispatch_chain", "dispatch_group"):
    setattr(KitDispatcher, _way, _noted(getattr(Dispatcher, _way)))


def definitions_in(given: Iterable[object]) -> Iterator[AnyDefinition]:
    """Find the definitions among the arguments of a dispatch: alone, in links, in lists of them.

    What is no definition is refused by the dispatch, which has the words for it.
    """
    for each in given:
        found = getattr(each, "job", each)
        if isinstance(found, JobDefinition):
            yield found
        elif isinstance(each, (list, tuple)):
            yield from definitions_in(each)


@dataclass(frozen=True, slots=True)
class Assembled:
    """The parts of one process, put together."""

    dispatcher: KitDispatcher
    maintenance: Maintenance
    engines: EngineSet
    keys: KeyRing


def assemble(
    ledger: Ledger,
    engines: Mapping[str, Engine],
    *,
    clock: Clock,
    listener: Callable[[Event], None],
    jobs: Iterable[AnyDefinition],
    budget: timedelta,
    namespace: str | None = None,
) -> Assembled:
    """Put the parts together as a worker does.

    Args:
        ledger: The authority.
        engines: The engines by name, in order of preference.
        clock: The process's.
        listener: Called with every event.
        jobs: The jobs whose schedules are fired; read at every look.
        budget: How long a dispatch may try to hand a job over.
        namespace: What the names on the brokers begin with, where it is not the default.
    """
    rng = random.Random(SEED)
    found = QuietEngineSet(engines, POLICY, clock=clock, listener=listener, rng=rng)
    router = Router(tuple(engines), (), found, LiveWorkers(ledger, clock))
    named = () if namespace is None else (namespace,)
    keys = KeyRing(ledger.signing_keys, clock, *named)
    tries = TryLog(ledger, background=False)
    offerer = Offerer(*(ledger, found, keys, tries), clock=clock, listener=listener, budget=budget)
    stager = Stager(ledger, router, offerer, listener=listener, rng=rng)
    rescuer = Rescuer(ledger, router, offerer, listener=listener)
    cron = CronScheduler(ledger, jobs, clock=clock, listener=listener, rng=rng)
    maintenance = Maintenance(found, stager, rescuer, cron)
    dispatcher = KitDispatcher(ledger, router, offerer, listener=listener)
    return Assembled(dispatcher, maintenance, found, keys)
