"""Which engines are known to be dead, so that what waits there is handed over at once (rule 29)."""

from collections.abc import Iterator
from datetime import timedelta

from failsoft.dispatcher.maintenance.missed_pickup import MissedPickup
from failsoft.dispatcher.offering.breaker import CONFIRMS_AFTER, Breaker
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.policies.queue import QueueProfile, profile_or_default
from failsoft.job_engine.ports.hand_over import HandOverLedger

#: An engine delivers to other hosts if one of its offers was claimed within this time.
SIGN_OF_LIFE = timedelta(seconds=2)

#: An engine and a queue in which its offers wait.
Lane = tuple[str, str]


class KnownDead:
    """Watch the offers that wait at engines, and check the engines where nothing proceeds.

    One look checks an engine at most once, and only one at which an offer has been the next for
    two looks, or whose breaker is open.
    """

    def __init__(
        self, ledger: HandOverLedger, router: Router, engines: EngineSet, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._engines = engines
        self._clock = clock
        self._next: dict[Lane, tuple[str, int]] = {}

    def look(self, inquiry: MissedPickup) -> Iterator[Lane]:
        """Find the queues in which offers wait for engines that are known to be dead."""
        before, offers = self._next, self._ledger.oldest_offers()
        self._next = {(str(job.engine), job.queue): (job.id, job.epoch) for job in offers}
        ours = {engine for engine in self._engines if not self._router.is_off(engine)}
        waiting = [lane for lane in self._next if lane[0] in ours]
        standing = [lane for lane in waiting if before.get(lane) == self._next[lane]]
        checked = {engine: queue for engine, queue in waiting if self._breaker(engine).is_open}
        for engine, queue in (checked | dict(standing)).items():
            self._check(engine, profile_or_default(queue), inquiry)
        dead = {engine for engine in ours if self._is_dead(engine)}
        yield from (lane for lane in waiting if lane[0] in dead)

    def _check(self, engine: str, queue: QueueProfile, inquiry: MissedPickup) -> None:
        was_open = self._breaker(engine).is_open
        self._engines.note_probe(engine, queue, inquiry.probe(engine, queue))
        if self._breaker(engine).is_open and not was_open:
            self._clock.sleep(CONFIRMS_AFTER.total_seconds())
            self._engines.note_probe(engine, queue, inquiry.probe_again(engine, queue))

    def _breaker(self, engine: str) -> Breaker:
        return self._engines.breaker(engine)

    def _is_dead(self, engine: str) -> bool:
        if not self._breaker(engine).is_confirmed:
            return False
        # This host may be the one that is cut off: then the others' workers go on claiming.
        return not self._ledger.begun_lately(engine, SIGN_OF_LIFE)
