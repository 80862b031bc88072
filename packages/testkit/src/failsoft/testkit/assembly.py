"""Putting a dispatcher and its maintenance together, as a worker does."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.dispatching.bulk import MANY, DispatchOutcome, DispatchRequest, Many
from failsoft.dispatcher.dispatching.flow import Completion
from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
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
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.definitions.links import AnyLink
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.groups import When
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.telemetry import Event
from failsoft.testkit.results import ProcessDied

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: How an engine that failed comes back: as soon as probes find it.
POLICY = BreakerPolicy(ramp=timedelta(0))
#: What makes the order of chances the same in every run.
SEED = 1


class QuietEngineSet(EngineSet):
    """Probes when the kit looks, and not in a thread of its own."""

    def watch_in_background(self) -> None:
        """Start no thread."""


class KitDispatcher(Dispatcher):
    """`Dispatcher` that shows the kit each job that this process dispatches.

    Attributes:
        register: Called with each definition, before its job is recorded.
        dispatched: Called after each dispatch, with the id of its job and its options; an
            empty id stands for many jobs.
        died: Called when the process died that dispatched.
    """

    died: Callable[[], object] = staticmethod(lambda: None)

    register: Callable[[AnyDefinition], object] = staticmethod(lambda definition: None)
    dispatched: Callable[[str, Mapping[str, Any]], object] = staticmethod(lambda job_id, opts: None)

    @property
    def clock(self) -> Clock:
        """The clock that it reads."""
        return self._clock

    def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Dispatch a job."""
        self._learn(job)
        with self._dying():
            handle = super().dispatch(job, payload, **options)
        self.dispatched(handle.id if handle.created else "", dict(options))
        return handle

    def dispatch_many(
        self,
        job: JobDefinition[P, R],
        items: Iterable[P | DispatchRequest[P]],
        *,
        how: Many = MANY,
        **options: Unpack[DispatchOptions],
    ) -> list[DispatchOutcome[R]]:
        """Dispatch many jobs of one definition."""
        self._learn(job)
        with self._dying():
            found = super().dispatch_many(job, items, how=how, **options)
        self.dispatched("", {})
        return found

    def dispatch_chain(
        self,
        *links: *tuple[*tuple[AnyLink[Any], ...], AnyLink[R]],
        chain_id: str | None = None,
        shard: str | None = None,
    ) -> ChainHandle[R]:
        """Dispatch jobs that run one after the other."""
        self._learn(*(getattr(link, "job", None) for link in links))
        found = super().dispatch_chain(*links, chain_id=chain_id, shard=shard)
        self.dispatched("", {})
        return found

    def dispatch_group(
        self,
        links: Sequence[AnyLink[Any]],
        completion: Completion | None = None,
        *,
        when: When = "all_ended",
        group_id: str | None = None,
        shard: str | None = None,
    ) -> GroupHandle:
        """Dispatch jobs that run side by side."""
        self._learn(*(getattr(link, "job", None) for link in links))
        self._learn(getattr(completion, "job", completion))
        found = super().dispatch_group(links, completion, when=when, group_id=group_id, shard=shard)
        self.dispatched("", {})
        return found

    @contextmanager
    def _dying(self) -> Iterator[None]:
        try:
            yield
        except ProcessDied:
            self.died()
            raise

    def _learn(self, *definitions: object) -> None:
        for each in definitions:
            # What is no definition is refused by the dispatch, which has the words for it.
            if isinstance(each, JobDefinition):
                self.register(each)


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
