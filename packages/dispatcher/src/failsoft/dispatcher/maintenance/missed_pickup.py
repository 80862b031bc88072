"""Why an offer was not claimed in time: a backlog is no death (R25)."""

from enum import Enum

from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.job import JobRecord

#: Where an engine cannot find out, one look in this many offers the job again.
LOOKS_PER_OFFER = 4


class PickupFinding(Enum):
    """What became of an offer."""

    DEAD = "its engine is away, switched off, or served by no live worker"
    LOST = "its engine works and does not have it any more"
    WAITS = "it waits in a queue that live workers serve"
    MAY_WAIT = "it waits or is lost; its engine cannot find out"
    OVERFLOWS = "it waits in a queue that may overflow, and fewer wait at another engine"


class MissedPickup:
    """One look at what became of offers; it probes each engine once a queue."""

    def __init__(self, router: Router, offerer: Offerer) -> None:
        self._router = router
        self._engines = offerer.engines
        self._offerer = offerer
        self._probed: dict[tuple[str, str], EngineHealth] = {}

    def about(self, job: JobRecord, queue: QueueProfile) -> PickupFinding:
        """Find out what became of an offer whose pickup was missed."""
        assert job.engine is not None  # noqa: S101 - an offered job has an engine
        found = self.of_queue(job.engine, queue)
        if found is PickupFinding.DEAD:
            return found
        if queue.overflow and self._fewer_wait_elsewhere(job, queue):
            return PickupFinding.OVERFLOWS
        return found or self._look_for(job, queue)

    def of_queue(self, engine: str, queue: QueueProfile) -> PickupFinding | None:
        """Find out what became of all late offers of a queue; None if each is to be looked for."""
        if not self._router.is_alive(engine, queue.name):
            return PickupFinding.DEAD
        found = self.probe(engine, queue)
        if not found.healthy:
            self._engines.note_probe(engine, queue, found)
            return PickupFinding.DEAD
        return PickupFinding.LOST if found.backlog == 0 else None

    def probe(self, engine: str, queue: QueueProfile) -> EngineHealth:
        """Probe an engine with a queue, once."""
        key = (engine, queue.name)
        if key not in self._probed:
            self._probed[key] = self._engines.probe(engine, queue)
        return self._probed[key]

    def probe_again(self, engine: str, queue: QueueProfile) -> EngineHealth:
        """Probe an engine with a queue once more: what was found before may be over."""
        self._probed.pop((engine, queue.name), None)
        return self.probe(engine, queue)

    def _look_for(self, job: JobRecord, queue: QueueProfile) -> PickupFinding:
        held = self._offerer.holds(job, queue)
        if held is None:
            is_patient = (job.pickups_missed + 1) % LOOKS_PER_OFFER != 0
            return PickupFinding.WAITS if is_patient else PickupFinding.MAY_WAIT
        return PickupFinding.WAITS if held else PickupFinding.LOST

    def _fewer_wait_elsewhere(self, job: JobRecord, queue: QueueProfile) -> bool:
        here = self.probe(str(job.engine), queue)
        others = (
            self.probe(name, queue)
            for name in self._router.allowed(job.engines)
            if name != job.engine and self._router.serves(name, job.queue)
        )
        return any(
            there.healthy and (None in (there.backlog, here.backlog) or _is_less(there, here))
            for there in others
        )


def _is_less(there: EngineHealth, here: EngineHealth) -> bool:
    return (there.backlog or 0) < (here.backlog or 0)
