"""The engines of one process: their adapters, their breakers, and the events of a change."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TypeVar

from failsoft.dispatcher.offering.bounded_caller import Caller
from failsoft.dispatcher.offering.breaker import Breaker, BreakerPolicy
from failsoft.dispatcher.offering.breakers import Breakers, Due
from failsoft.dispatcher.offering.owners import Owners, taken
from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.errors import (
    ConfigurationError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    LedgerError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile
from failsoft.job_engine.ports.bulk import BulkEngineAdapter
from failsoft.job_engine.ports.engine import (
    AskableEngineAdapter,
    Claiming,
    EngineAdapter,
    EngineHealth,
    Owner,
    PunctualEngineAdapter,
)
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.telemetry import Event, Listener

T = TypeVar("T")

#: How long a probe may take.
PROBE_BUDGET = timedelta(seconds=1)


@dataclass(frozen=True)
class Engine:
    """An engine adapter with the caller that keeps its deadline."""

    adapter: EngineAdapter
    caller: Caller

    @cached_property
    def punctual(self) -> PunctualEngineAdapter | None:
        """The adapter, if it keeps deadlines by itself."""
        return self.adapter if isinstance(self.adapter, PunctualEngineAdapter) else None


class EngineSet:
    """The engines with their breakers; every call to an engine goes through here."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        policy: BreakerPolicy,
        *,
        clock: Clock,
        listener: Listener,
        rng: random.Random | None = None,
        ledger_id: str | None = None,
    ) -> None:
        """Begin with every breaker closed.

        Args:
            engines: The engines by name.
            policy: How one that failed comes back.
            clock: The process's.
            listener: Called when an engine fails, and when it is back.
            rng: For jitter.
            ledger_id: The ledger whose jobs are offered; with one, nothing is offered where a
                namespace is another ledger's.
        """
        self._engines = dict(engines)
        self._owners = Owners(ledger_id, clock)
        self._clock = clock
        self._listener = listener
        self._breakers = Breakers(self._engines, policy, clock, rng or random.Random())
        self._pause = policy.probe_every.total_seconds() / 4
        self._prober: threading.Thread | None = None
        self._note_open: Callable[[], object] = _note_nothing
        self._is_closed = False
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the engines."""
        return iter(self._engines)

    def breaker(self, engine: str) -> Breaker:
        """Return the breaker of an engine as a whole."""
        return self._breakers.of(engine)

    @property
    def are_closed(self) -> bool:
        """Whether every engine gets every offer, of every queue."""
        return self._breakers.are_closed

    def blocking(self, engine: str, queue: str) -> Breaker | None:
        """Return the open breaker that keeps a queue's offers from an engine, if there is one."""
        return self._breakers.blocking(engine, queue)

    def admits(self, engine: str, queue: str) -> bool:
        """Decide about one offer; while ramping, by chance."""
        return self._breakers.admits(engine, queue)

    def offer(self, engine: str, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Hand a message to an engine by the deadline; a failure opens its breaker.

        A refusal opens that of the queue alone.

        Raises:
            EngineError: It was not taken, or may not have been.
        """
        called = self._engines[engine]
        try:
            reached("engine.before")
            if not self._offered_at_once(called, message, queue, deadline):
                called.caller.call(
                    lambda: self._offer(called.adapter, message, queue, deadline), deadline
                )
            reached("engine.after")
        except EngineError as error:
            self._note(engine, queue, error)
            raise
        except Exception as error:
            found = _as_engine_error(engine, error)
            self._note(engine, queue, found)
            raise found from error

    def offer_many(
        self, engine: str, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Hand messages to an engine, in one call if it can; return each one's error, or None."""
        adapter, caller = self._engines[engine].adapter, self._engines[engine].caller
        if not isinstance(adapter, BulkEngineAdapter):
            return self._one_by_one(engine, messages, queue, deadline)

        def offer() -> Sequence[EngineError | None]:
            self._owners.expect_ours(adapter, deadline)
            return adapter.offer_many(messages, queue, deadline)

        try:
            reached("engine.before")
            found = caller.call(offer, deadline)
            reached("engine.after")
        except EngineError as error:
            found = [error] * len(messages)
        except Exception as error:  # noqa: BLE001 - it is translated
            found = [_as_engine_error(engine, error)] * len(messages)
        for each in dict.fromkeys(answer for answer in found if answer is not None):
            self._note(engine, queue, each)
        return found

    def _offered_at_once(
        self, engine: Engine, message: Message, queue: QueueProfile, deadline: Deadline
    ) -> bool:
        """Offer in this thread where nothing can keep it beyond the deadline."""
        punctual = engine.punctual
        if punctual is None or not self._owners.is_known(engine.adapter):
            return False
        return punctual.offer_at_once(message, queue, deadline)

    def _offer(
        self, adapter: EngineAdapter, message: Message, queue: QueueProfile, deadline: Deadline
    ) -> None:
        self._owners.expect_ours(adapter, deadline)
        adapter.offer(message, queue, deadline)

    def owner(self, engine: str, claiming: Claiming = "if_free") -> Owner:
        """Read from an engine's broker whose its namespace is; unknown if not in time."""
        try:
            return self._call(
                engine, lambda adapter, end: self._owners.look(adapter, end, claiming)
            )
        except EngineError:
            return Owner.UNKNOWN

    def _one_by_one(
        self, engine: str, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        found = list[EngineError | None]()
        for message in messages:
            if found and found[-1] is not None:
                # It has just failed: the others go on to the next engine without waiting for it.
                found.append(EngineUnavailableError(f"{engine} got no offer: {found[-1]}"))
                continue
            try:
                self.offer(engine, message, queue, deadline)
                found.append(None)
            except EngineError as error:
                found.append(error)
        return found

    def probe(self, engine: str, queue: QueueProfile = DEFAULT) -> EngineHealth:
        """Probe an engine; one that does not answer in time is not healthy."""
        try:
            return self._call(engine, lambda adapter, end: self._probe(adapter, queue, end))
        except Exception as error:  # noqa: BLE001 - a probe that fails is an answer
            return EngineHealth(healthy=False, detail=str(error) or repr(error))

    def _call(self, engine: str, work: Callable[[EngineAdapter, Deadline], T]) -> T:
        adapter, caller = self._engines[engine].adapter, self._engines[engine].caller
        deadline = Deadline.after(self._clock, PROBE_BUDGET)
        return caller.call(lambda: work(adapter, deadline), deadline)

    def _probe(
        self, adapter: EngineAdapter, queue: QueueProfile, deadline: Deadline
    ) -> EngineHealth:
        found = adapter.probe(queue, deadline)
        if found.healthy and self._owners.look(adapter, deadline, "look") is Owner.ANOTHER:
            return replace(found, healthy=False, detail=taken(adapter.name))
        return found

    def holds(self, engine: str, message: Message, queue: QueueProfile) -> bool | None:
        """Return whether a message still waits; None if the engine cannot find out in time."""
        adapter = self._engines[engine].adapter
        if not isinstance(adapter, AskableEngineAdapter):
            return None
        try:
            return self._call(engine, lambda _, end: adapter.holds(message, queue, end))
        except Exception:  # noqa: BLE001 - whatever it is, there is no answer
            return None

    def failed(self, engine: str, reason: str, queue: QueueProfile = DEFAULT) -> None:
        """Note that an engine failed; report once when that opens its breaker.

        Args:
            engine: The engine's name.
            reason: Its error.
            queue: The queue that it failed with, and is probed with.
        """
        if self._breakers.fail(engine, queue, reason):
            self._emit("engine.failed_over", engine, reason, to=self._next(queue))

    def refused(self, engine: str, reason: str, queue: QueueProfile) -> None:
        """Note that an engine refused a queue; report once when that opens the queue's breaker."""
        if self._breakers.refuse(engine, queue, reason):
            self._emit("engine.queue_refused", engine, reason, queue.name)

    def _note(self, engine: str, queue: QueueProfile, error: EngineError) -> None:
        of_queue = isinstance(error, OfferRefusedError) and not isinstance(
            error, EngineRefusedError
        )
        (self.refused if of_queue else self.failed)(engine, str(error) or repr(error), queue)

    def note_probe(self, engine: str, queue: QueueProfile, found: EngineHealth) -> None:
        """Note what a probe found that was made for another reason than an open breaker."""
        breaker = self._breakers.of(engine)
        if breaker.is_open:
            self._check(Due(engine, queue, breaker, is_lane=False), found)
        elif not found.healthy:
            (self.refused if found.is_refused else self.failed)(engine, found.detail, queue)

    def check(self) -> None:
        """Make the probes that are due: of engines that failed, and of queues they refused."""
        for due in self._breakers.due():
            self._check(due, self.probe(due.engine, due.queue))

    def _check(self, due: Due, found: EngineHealth) -> None:
        if found.is_refused and not due.is_lane:
            # It answers, so it is back; this queue alone it still refuses.
            self.refused(due.engine, found.detail, due.queue)
        healthy = found.healthy or (found.is_refused and not due.is_lane)
        if due.breaker.note_probe(healthy=healthy, detail=found.detail):
            if due.is_lane:
                self._emit("engine.queue_accepted", due.engine, found.detail, due.queue.name)
            else:
                self._emit("engine.failed_back", due.engine, found.detail)

    def noting(self, note: Callable[[], object]) -> None:
        """Have what is open noted by the thread that probes in the background.

        Args:
            note: Called after each round of probes, and once when no breaker is open any more. A
                `LedgerError` has it called again.
        """
        self._note_open = note

    def watch_in_background(self) -> None:
        """Probe from a thread of its own while any breaker is open."""
        if not self._any_open():
            return
        with self._lock:
            self._is_closed = False
            if self._prober is not None and self._prober.is_alive():
                return
            self._prober = threading.Thread(target=self._watch, name="failsoft-prober", daemon=True)
            self._prober.start()

    def close(self) -> None:
        """End the threads that are kept for the next call, which starts new ones."""
        with self._lock:
            self._is_closed = True
        self._close_callers()

    def _close_callers(self) -> None:
        for engine in self._engines.values():
            engine.caller.close()

    def _watch(self) -> None:
        is_noted = False
        while (self._any_open() or not is_noted) and not self._is_closed:
            self.check()
            is_open = self._any_open()
            is_noted = self._noted() and not is_open
            if not is_noted:
                self._clock.sleep(self._pause)
        if self._is_closed:
            # Its last probe may have started a thread after the others ended.
            self._close_callers()

    def _noted(self) -> bool:
        try:
            self._note_open()
        except LedgerError:
            return False
        return True

    def _any_open(self) -> bool:
        return self._breakers.any_open

    def _next(self, queue: QueueProfile) -> str:
        """Return where the queue's offers go now: an engine, or the ledger until one takes them."""
        usable = (name for name in self._engines if self.blocking(name, queue.name) is None)
        return next(usable, "the ledger")

    def _emit(
        self, kind: str, engine: str, reason: str, queue: str | None = None, **detail: str
    ) -> None:
        detail = {"reason": reason, **detail}
        self._listener(Event(kind, engine=engine, queue=queue, detail=detail))


def _note_nothing() -> None:
    pass


def _as_engine_error(engine: str, error: Exception) -> EngineError:
    """Return the engine's error that another error stands for."""
    if isinstance(error, ConfigurationError):
        # Raised before anything was sent: the queue cannot be served.
        return OfferRefusedError(str(error))
    # An adapter that breaks its contract loses no job: what it did is unknown.
    return OfferUncertainError(f"{engine} failed unexpectedly: {error!r}")
