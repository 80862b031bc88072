"""What the demo dispatches and when it kills, decided by the seed before it begins."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from failsoft.worker.demo.environment.airports import BATCH_SIZE, Airport

#: With fewer there would be too few for each phase.
FEWEST_WEBHOOKS = 20
#: With more, dispatching them would take longer than the import.
MOST_ALONGSIDE = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """Which webhooks are dispatched in which phase, and the moment of the kill.

    Attributes:
        seed: What all of it follows from.
        batches: How many batches the import has.
        kill_batch: The first engine's host is killed when this number of them is finished.
        first: Webhooks dispatched before the import.
        alongside: Those dispatched while the import runs, in step with its batches; the last of
            them just before its workers die.
        stranded: Those dispatched after the workers died and before their server did; they wait in
            its queues.
        outage: Those dispatched while the server is down.
        returning: Those dispatched while it and its workers start again.
        last: Those dispatched once the first engine gets offers again.
    """

    seed: int
    batches: int
    kill_batch: int
    first: Sequence[Airport]
    alongside: Sequence[Airport]
    stranded: Sequence[Airport]
    outage: Sequence[Airport]
    returning: Sequence[Airport]
    last: Sequence[Airport]

    @property
    def webhooks(self) -> int:
        """Return how many webhooks there are."""
        before = len(self.first) + len(self.alongside) + len(self.stranded)
        return before + len(self.outage) + len(self.returning) + len(self.last)


def make_plan(jobs: int, seed: int, airports: Sequence[Airport]) -> Plan:
    """Decide everything that the seed decides.

    Args:
        jobs: How many webhooks to dispatch.
        seed: The same seed gives the same plan.
        airports: The contents of the webhooks; the rows of the import.
    """
    rng = random.Random(seed)
    events = rng.choices(airports, k=jobs)
    kill_at = round(jobs * rng.uniform(0.30, 0.36))
    few, some, many = max(2, jobs // 20), max(2, jobs // 10), max(3, jobs // 5)
    died_at, returns_at, back_at = kill_at - few, jobs - some - many, jobs - many
    import_at = died_at - min(few, MOST_ALONGSIDE)
    ends = (import_at, died_at, kill_at, returns_at, back_at, jobs)
    parts = [events[start:end] for start, end in pairwise((0, *ends))]
    batches = -(-len(airports) // BATCH_SIZE)
    kill_batch = round(batches * rng.uniform(0.30, 0.40))
    return Plan(seed, batches, kill_batch, *parts)
