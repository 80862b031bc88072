"""Whether any slot of a worker still moves; one whose slots are all lost must not count as live.

A slot with a long attempt is not lost: the job's code runs, and its lease is renewed. A slot is
lost if it stands still in the worker's code, as in a log line that nothing reads, or if its attempt
was revoked, or concluded in its place, and goes on in a call that no interrupt reaches. See
docs/decisions/0033.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine.attempt.interrupts import Released
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.records.job import Claim

#: How long a slot may stand still before it counts as lost.
PATIENCE = timedelta(seconds=60)
#: In how many looks, too: this process may have been stopped meanwhile.
LOOKS = 5


@dataclass(slots=True, eq=False)
class Slot:
    """What a slot is busy with.

    Attributes:
        moves: How many parts of its work it has begun.
        claim_id: The claim whose attempt it runs.
        is_left: Whether another message may be in its place: all that is left is to record an end.
    """

    moves: int = 0
    claim_id: str | None = None
    is_left: bool = False
    _seen: tuple[int, int] | None = None
    _since: float = 0.0
    _looks: int = 0

    def move(self, claim: Claim | None = None) -> None:
        """Note that the next part of its work begins: an attempt, or the worker's own code."""
        self.moves += 1
        self.claim_id = None if claim is None else claim.claim_id

    def leave(self, left_code: Callable[[], object]) -> None:
        """Let another message have its place: only an end is left to be recorded."""
        self.is_left = True
        left_code()

    def forget(self) -> None:
        """Count it as moving from now on."""
        self._seen = None

    def look(self, lease: Lease | None, now: float, patience: float) -> bool:
        """Whether it has stood still for that number of seconds."""
        if lease is not None and _is_at_work(lease):
            self.forget()
            return False
        seen = (self.moves, 0 if lease is None else lease.checks)
        if seen != self._seen:
            self._seen, self._since, self._looks = seen, now, 0
        self._looks += 1
        return self._looks >= LOOKS and now - self._since >= patience


def _is_at_work(lease: Lease) -> bool:
    must_stop = lease.revoked_by not in (None, Released)
    return lease.is_asking or (lease.is_in_job_code and not must_stop)


class SlotWatch:
    """Detects that no slot of a worker process moves any more."""

    def __init__(
        self,
        slots: int,
        held: Callable[[], Sequence[tuple[Claim, Lease]]],
        clock: Clock,
        patience: timedelta = PATIENCE,
    ) -> None:
        """Watch over the slots of a process.

        Args:
            slots: How many there are.
            held: Returns the attempts that run, with their leases.
            clock: Measures how long a slot stands still.
            patience: How long a slot may stand still.
        """
        self._slots = slots
        self._held = held
        self._clock = clock
        self._patience = patience.total_seconds()
        self._lock = threading.Lock()
        self._busy: set[Slot] = set()

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """Mark the time in which a slot is busy with a message."""
        slot = Slot()
        with self._lock:
            self._busy.add(slot)
        try:
            yield slot
        finally:
            with self._lock:
                self._busy.discard(slot)

    def begin_anew(self) -> None:
        """Forget for how long the slots have stood still."""
        with self._lock:
            for slot in self._busy:
                slot.forget()

    def any_moves(self) -> bool:
        """Look at every slot; return whether one is free or moves."""
        leases = {claim.claim_id: lease for claim, lease in self._held()}
        now = self._clock.steady()
        with self._lock:
            busy = list(self._busy)
        still = [
            each for each in busy if each.look(leases.get(each.claim_id or ""), now, self._patience)
        ]
        # Ends that nothing records are in nobody's way until there are as many as slots.
        left = sum(each.is_left for each in still)
        return max(left, len(still) - left) < self._slots
