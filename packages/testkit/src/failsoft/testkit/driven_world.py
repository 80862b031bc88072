"""What drives a world, in memory or on servers: its maintenance, its heartbeats, its time."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.policies.queue import QueueProfile, declared_queues
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Event
from failsoft.testkit.assembly import Assembled, KitDispatcher
from failsoft.testkit.catalogue import KitCatalogue
from failsoft.testkit.memory.clock import LOOK
from failsoft.testkit.results import Attempt, ProcessDied
from failsoft.testkit.world import ALL_JOBS, UNFINISHED, TravelClock

#: A long time is passed in long looks, once nothing has moved for a while.
CALM, LONG_LOOK = timedelta(minutes=10), timedelta(minutes=1)
#: How long a worker counts as live after a heartbeat; one that is stopped is retired at once.
TTL = LONG_LOOK * 2

#: What a worker took from an engine.
T = TypeVar("T")
#: An engine and a queue that a worker serves.
Lane = tuple[str, QueueProfile]


class DrivenWorld(ABC, Generic[T]):
    """The half of a `World` that is the same in memory and on servers.

    The test's process is the maintenance of the deployment: nothing is offered, rescued or fired
    but in a look of its own.

    Attributes:
        clock: The time of every part.
        events: What the parts emitted.
        engines: The engines, in order of preference.
        catalogue: The jobs of the test.
        dispatcher: What dispatches; there once `drive` was called.
    """

    dispatcher: KitDispatcher

    def __init__(self, engines: Sequence[str], clock: TravelClock, catalogue: KitCatalogue) -> None:
        """Begin with nothing that is driven."""
        self.clock: TravelClock = clock
        self.events: list[Event] = []
        self.engines: Sequence[str] = tuple(engines)
        self.catalogue: KitCatalogue = catalogue
        self._scheduled: list[AnyDefinition] = []
        self._stopped: set[tuple[str, str | None]] = set()

    @property
    @abstractmethod
    def ledger(self) -> Ledger:
        """The ledger."""

    def drive(self, assembled: Assembled) -> None:
        """Drive the parts of this process, which were put together on the ledger."""
        self.dispatcher = assembled.dispatcher
        self.dispatcher.register = self._registered
        self.dispatcher.died = self._died
        self._maintenance = assembled.maintenance
        self._engines = assembled.engines
        self._keys = assembled.keys
        self._beat()

    def now(self) -> datetime:
        """Return the ledger's time."""
        return self.clock.now()

    def schedule(self, names: Iterable[str]) -> None:
        """Fire the schedules of registered jobs."""
        known = {job.name for job in self._scheduled}
        self._scheduled.extend(
            job for job in self.catalogue if job.name in names and job.name not in known
        )

    def run(self, queue: str | None, most: int) -> tuple[Sequence[Attempt], int]:
        """Run what is due."""
        ran, stale = list[Attempt](), 0
        self._beat()
        while len(ran) < most:
            found = self._next(queue)
            if found is None:
                self._look()
                found = self._next(queue)
            if found is None:
                break
            attempt = self._attempt(found)
            if attempt is None:
                stale += 1
            else:
                ran.append(attempt)
                if attempt.state is JobState.FAILED:
                    break
        return ran, stale

    def pass_time(self, span: timedelta) -> None:
        """Let time pass in looks: heartbeats, rescues, what is due, schedules."""
        end, moved = self.clock.now() + span, self.clock.now()
        self._look()
        jobs = self._unfinished()
        seen = _picture(jobs)
        while (left := end - self.clock.now()) > timedelta(0):
            calm = self.clock.now() - moved > CALM
            self.clock.advance(min(self._stride(jobs, calm=calm), left))
            self._look()
            jobs = self._unfinished()
            if (found := _picture(jobs)) != seen:
                seen, moved = found, self.clock.now()

    @abstractmethod
    def _next(self, queue: str | None) -> T | None:
        """Return the next message that a worker would take; None if there is none."""

    @abstractmethod
    def _attempt(self, found: T) -> Attempt | None:
        """Let a worker process a message; None if it was void."""

    @abstractmethod
    def _beat(self) -> None:
        """Send the heartbeat of each worker that is not stopped."""

    def _registered(self, definition: AnyDefinition) -> None:
        self.catalogue.register(definition)

    def _died(self) -> None:
        """Note that the process died which dispatched."""

    def _look(self) -> None:
        """Do what the maintenance of some worker does; one that dies is another's next time."""
        try:
            self._beat()
            self._maintenance.tick()
        except (ProcessDied, LedgerError):
            self._died()

    def _lanes(self, wanted: str | None) -> Iterator[Lane]:
        for engine in self.engines:
            for queue in list(declared_queues().values()):
                off = {(engine, queue.name), (engine, None)} & self._stopped
                if not off and wanted in (None, queue.name):
                    yield engine, queue

    def _stride(self, jobs: Sequence[JobRecord], *, calm: bool) -> timedelta:
        """Return how much time may pass until the next look is due."""
        if self._engines.are_closed:
            idle = self._idle_for(jobs)
            if idle is not None:
                return max(idle, LOOK)
        return LONG_LOOK if calm else LOOK

    def _idle_for(self, jobs: Sequence[JobRecord]) -> timedelta | None:
        """Return for how long nothing happens by itself; None while a job is offered or runs."""
        if any(job.state in (JobState.OFFERED, JobState.RUNNING) for job in jobs):
            return None
        now, schedules = self.ledger.schedules()
        times = [each.next_at for each in schedules if not each.paused]
        times += [at for job in jobs for at in (job.run_at, job.expires_at) if at is not None]
        return min((at - now for at in times if at > now), default=timedelta.max)

    def _unfinished(self) -> Sequence[JobRecord]:
        return self.ledger.list_jobs(limit=ALL_JOBS, states=list(UNFINISHED))


def _picture(jobs: Sequence[JobRecord]) -> object:
    """Return what differs once anything has happened to a job."""
    return [(job.id, job.state, job.epoch, job.pickups_missed) for job in jobs]
