"""Which engines are known to be dead, so that what waits there is handed over at once (rule 29)."""

from collections.abc import Iterator
from datetime import timedelta

from failsoft.dispatcher.maintenance.missed_pickup import MissedPickup
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.policies.queue import profile_or_default
from failsoft.job_engine.ports.hand_over import HandOverLedger

#: An engine delivers to other hosts if one of its offers was claimed within this time.
SIGN_OF_LIFE = timedelta(seconds=2)

#: An engine and a queue in which its offers wait.
Lane = tuple[str, str]


class KnownDead:
    """Watch the offers that wait at engines, and check the engines where nothing proceeds.

    One look probes an engine at most once, and only one at which an offer has been the next for
    two looks, or whose breaker is open.
    """

    def __init__(self, ledger: HandOverLedger, router: Router, engines: EngineSet) -> None:
        self._ledger = ledger
        self._router = router
        self._engines = engines
        self._next: dict[Lane, tuple[str, int]] = {}

    def look(self, inquiry: MissedPickup) -> Iterator[Lane]:
        """Find the queues in which offers wait for engines that are known to be dead."""
        before, offers = self._next, self._ledger.oldest_offers()
        self._next = {(str(job.engine), job.queue): (job.id, job.epoch) for job in offers}
        ours = {engine for engine in self._engines if not self._router.is_off(engine)}
        waiting = [lane for lane in self._next if lane[0] in ours]
        standing = {lane for lane in waiting if before.get(lane) == self._next[lane]}
        checked = {engine: queue for engine, queue in waiting if self._is_open(engine)}
        checked |= dict(sorted(standing))
        for engine, queue in checked.items():
            profile = profile_or_default(queue)
            self._engines.note_probe(engine, profile, inquiry.probe(engine, profile))
        dead = {engine for engine in checked if self._is_dead(engine)}
        yield from (lane for lane in waiting if lane[0] in dead)

    def _is_open(self, engine: str) -> bool:
        return self._engines.breaker(engine).is_open

    def _is_dead(self, engine: str) -> bool:
        # This host may be the one that is cut off: then the others' workers go on claiming.
        is_confirmed = self._engines.breaker(engine).is_confirmed
        return is_confirmed and not self._ledger.begun_lately(engine, SIGN_OF_LIFE)
