"""The relay: publishes what waits in the ledger's outbox, at least once, in order by key (rule 28).

Any number of relays run, and one at a time publishes for an engine. A turn in the ledger says
which: it renews the turn with its rounds, and another takes it that has seen it stand still on its
own steady clock. A relay that is frozen in the middle of a round may publish that round once more
when it wakes. Its records have been published by then: the first copies are in order, and the ids
show the second ones.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import zip_longest

from failsoft.dispatcher.plugins.link import Link
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.errors import (
    EngineError,
    EngineRefusedError,
    LedgerError,
    OfferRefusedError,
)
from failsoft.job_engine.outbox import OutboxEntry, OutboxLedger

logger: logging.Logger = logging.getLogger("failsoft.bridge")

#: Publishes records side by side and returns an error, or None, for each; no two with one key.
Publish = Callable[[Sequence[OutboxEntry]], Sequence[EngineError | None]]

#: How many records one round publishes at most.
ROUND = 500
#: How often an idle relay looks, in seconds.
LOOK_SECONDS = 0.2
#: How long a turn that stands still lasts, in seconds, and how long it goes without renewal. What
#: publishes a wave returns sooner than the one less the other.
TURN_SECONDS, RENEW_SECONDS = 8.0, 1.5
#: The turn of no relay: the one that had it has stopped.
FREE = "free"
#: The pauses after the broker, or the ledger, did not answer, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
#: The pauses before a record that was refused is tried again.
FIRST_REFUSAL, LONGEST_REFUSAL = timedelta(seconds=1), timedelta(minutes=5)


class OutboxRelay:
    """Publishes the records of one engine.

    Args:
        outbox: The ledger.
        engine: The engine, by the name that the records have.
        holder: What this relay is known by; no other has the same.
        publish: Hands records to the broker, and waits for its answers for less than the turn.
        link: What is noted of the broker.
        clock: Where time comes from.
    """

    def __init__(
        self,
        outbox: OutboxLedger,
        engine: str,
        holder: str,
        publish: Publish,
        *,
        link: Link,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._engine = engine
        self._publish = publish
        self._link = link
        self._clock = clock
        self._turn = _Turn(outbox, engine, holder, clock)

    def run(self, stopping: threading.Event) -> None:
        """Publish until `stopping` is set; then let another relay have the turn."""
        pause = FIRST_PAUSE
        while not stopping.is_set():
            try:
                published = self.tick()
            except (LedgerError, EngineError):
                stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if not published:
                stopping.wait(LOOK_SECONDS)
        with suppress(LedgerError):
            self._turn.give_up()

    def tick(self) -> int:
        """Publish one round, if it is this relay's turn; return how many records that were.

        Raises:
            EngineError: The broker did not answer for some; they stay, in their order.
            LedgerError: The ledger did not answer.
        """
        if not self._outbox.outbox_waiting(self._engine, 1):
            self._turn.look()
            return 0
        if not self._turn.take():
            return 0
        # Read again: what another relay published before this turn waits no more.
        entries = self._outbox.outbox_waiting(self._engine, ROUND)
        published: list[int] = []
        try:
            self._publish_all(entries, published)
        finally:
            reached("ack.before")
            if published:
                self._outbox.outbox_published(published)
            reached("ack.after")
        return len(published)

    def _publish_all(self, entries: Sequence[OutboxEntry], published: list[int]) -> None:
        held_back: set[object] = set()
        for wave in _waves(entries):
            free = [each for each in wave if _lane(each) not in held_back]
            if free and not self._turn.take():
                return
            errors = self._publish(free) if free else ()
            away: EngineError | None = None
            for entry, error in zip(free, errors, strict=True):
                if error is None:
                    published.append(entry.seq)
                    continue
                held_back.add(_lane(entry))
                if isinstance(error, OfferRefusedError) and not isinstance(
                    error, EngineRefusedError
                ):
                    self._refused(entry, error)
                else:
                    away = error
            if away is not None:
                self._link.lost(away)
                raise away
            if free:
                self._link.answered()

    def _refused(self, entry: OutboxEntry, error: EngineError) -> None:
        pause = min(FIRST_REFUSAL * 2 ** min(entry.refusals, 16), LONGEST_REFUSAL)
        self._outbox.outbox_refused(entry.seq, str(error), pause)
        if entry.refusals == 0:
            logger.warning(
                "record %s of the outbox, for topic %s, is refused by %s and waits, with all that "
                "follow it of its key: %s",
                *(entry.id, entry.record.topic, self._engine, error),
            )


class _Turn:
    """The turn of one relay: a word in the ledger that changes with each renewal."""

    def __init__(self, outbox: OutboxLedger, engine: str, holder: str, clock: Clock) -> None:
        self._outbox = outbox
        self._engine = engine
        self._holder = holder
        self._clock = clock
        self._seen: str | None = None
        self._since = self._looked_at = clock.steady()
        self._count = 0

    def take(self) -> bool:
        """Take or renew it; return whether this relay has it."""
        if self._is_mine(self._seen) and self._clock.steady() - self._since < RENEW_SECONDS:
            return True
        found = self._look()
        stands_still = self._clock.steady() - self._since >= TURN_SECONDS
        if not (self._is_mine(found) or found in (None, FREE) or stands_still):
            return False
        self._count += 1
        return self._set(found, f"{self._holder} {self._count}")

    def look(self) -> None:
        """Watch it while nothing waits, so that a relay that is gone is known to be by then."""
        if self._clock.steady() - self._looked_at >= RENEW_SECONDS:
            self._look()

    def _look(self) -> str | None:
        found, now = self._outbox.outbox_turn(self._engine), self._clock.steady()
        self._looked_at = now
        if found != self._seen:
            self._seen, self._since = found, now
        return found

    def give_up(self) -> None:
        """Let another relay have it at once."""
        if self._is_mine(self._seen):
            self._set(self._seen, FREE)

    def _set(self, seen: str | None, to: str) -> bool:
        done = self._outbox.take_outbox_turn(self._engine, seen, to)
        if done:
            self._seen, self._since = to, self._clock.steady()
        return done

    def _is_mine(self, word: str | None) -> bool:
        return word is not None and word.partition(" ")[0] == self._holder


def _lane(entry: OutboxEntry) -> object:
    """Return what records are in order with each other by."""
    record = entry.record
    return entry.seq if record.key is None else (record.topic, record.key)


def _waves(entries: Sequence[OutboxEntry]) -> Iterator[list[OutboxEntry]]:
    """Cut records into waves, each with at most one of a lane: the next waits for its answer.

    So a record that fails is followed by none of its key, whatever the broker's client does.
    """
    lanes: defaultdict[object, list[OutboxEntry]] = defaultdict(list)
    for entry in entries:
        lanes[_lane(entry)].append(entry)
    for wave in zip_longest(*lanes.values()):
        yield [each for each in wave if each is not None]
