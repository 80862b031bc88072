"""Offering many jobs of one queue again: one commit and one call of the engine for each plan."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.hand_over import HandOverLedger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan


class Move(NamedTuple):
    """The next offer of a job, and the engines to try after that one."""

    plan: OfferPlan
    then: tuple[str, ...]


class Mover:
    """Commits moves, and sends what was committed (rules 3 and 4)."""

    def __init__(self, ledger: HandOverLedger, offerer: Offerer) -> None:
        self._ledger = ledger
        self._offerer = offerer

    def move(
        self, queue: QueueProfile, moves: Iterable[tuple[JobRecord, Move]]
    ) -> Iterator[tuple[Move, Sequence[JobRecord]]]:
        """Offer jobs again that are as they were seen; the others are left as they are.

        Args:
            queue: Their queue's profile.
            moves: Jobs as they were seen, all `offered` to one engine, each with its move.

        Yields:
            The jobs that were moved in the same way, once they are committed; they are sent next.
        """
        together = defaultdict[Move, list[JobRecord]](list)
        for job, move in moves:
            together[move].append(job)
        for move, seen in together.items():
            moved = self._ledger.offer_many(seen, move.plan)
            if moved:
                yield move, moved
                self._offerer.carry_many(moved, move.then, queue)
