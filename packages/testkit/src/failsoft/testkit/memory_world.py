"""A Failsoft in memory: two engines with workers that run in the test's thread."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.offering.engines import Engine
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.crash_points import HOOKS, reached
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import JobDeferredError, JobNotFoundError, LedgerError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.policies.queue import QueueProfile, declared_queues
from failsoft.job_engine.records.job import Claim, Ticket, WorkerRecord
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.records.states import JobState
from failsoft.testkit.assembly import assemble
from failsoft.testkit.catalogue import KitCatalogue, in_loop, noting_errors
from failsoft.testkit.driven_world import TTL, DrivenWorld
from failsoft.testkit.memory.clock import KitClock
from failsoft.testkit.memory.engine import KitEngine
from failsoft.testkit.memory.ledger import DyingLedger
from failsoft.testkit.results import Attempt, Failure, ProcessDied
from failsoft.testkit.traps import Trap

#: How long a dispatch may try to hand a job over; the clock stands still meanwhile.
BUDGET = timedelta(seconds=1)


class _Taken(NamedTuple):
    engine: str
    queue: QueueProfile
    message: Message


class MemoryWorld(DrivenWorld[_Taken]):
    """`World` in memory; nothing runs in a thread of its own."""

    def __init__(self, engines: Sequence[str], start: datetime) -> None:
        """Begin with an empty ledger, engines that are up, and a worker for each queue."""
        clock = KitClock(start)
        super().__init__(engines, clock, KitCatalogue(self._wrapped))
        self._ledger = DyingLedger(clock)
        self.current: Claim | None = None
        self._errors: dict[str, BaseException] = {}
        self._noting: dict[str, tuple[AnyDefinition, AnyDefinition]] = {}
        self._steps: dict[str, str] = {}
        self._adapters = {name: KitEngine(name) for name in engines}
        self._crash: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        adapters = {name: Engine(each, DirectCaller()) for name, each in self._adapters.items()}
        self._executor = Executor(self.ledger, self.catalogue, clock, self.events.append)
        self.drive(
            assemble(
                *(self.ledger, adapters),
                clock=clock,
                listener=self.events.append,
                jobs=self._scheduled,
                budget=BUDGET,
            )
        )
        clock.on_look = self._while_it_waits

    @property
    def ledger(self) -> DyingLedger:
        """The ledger."""
        return self._ledger

    @property
    def ledger_url(self) -> str | None:
        """None: it is in memory."""
        return None

    def bodies(self, job_id: str) -> Sequence[tuple[int, str]]:
        """Return the steps of a job whose bodies returned."""
        return self.ledger.traps.bodies.get(job_id, ())

    def error_of(self, job_id: str) -> BaseException | None:
        """Return what the handler of a job raised last."""
        return self._errors.get(job_id)

    def step_of(self, job_id: str) -> str | None:
        """Return the step that the last attempt of a job began last."""
        return self._steps.get(job_id)

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Run the coroutines of `async def` handlers in a loop of the test."""
        self._loop = loop

    def fail_engine(self, name: str, how: Failure, times: int | None) -> None:
        """Break an engine."""
        if how == "no-workers":
            self.stop_workers(name, None)
        else:
            self._adapters[name].fail(how, times)

    def heal_engine(self, name: str) -> None:
        """Repair an engine, and start its workers again."""
        self._adapters[name].heal()
        self._stopped = {(engine, queue) for engine, queue in self._stopped if engine != name}
        self._beat()

    def stop_workers(self, engine: str, queue: str | None) -> None:
        """Stop the workers of an engine, of a queue or of all."""
        self._stopped.add((engine, queue))
        for each in declared_queues():
            if queue in (None, each):
                self.ledger.retire(_boot_id(engine, each))

    def wipe_engine(self, name: str) -> None:
        """Let an engine lose its messages."""
        self._adapters[name].drop_messages()

    def redeliver(self, job_id: str) -> None:
        """Deliver the newest message of a job again.

        Raises:
            AssertionError: No engine has ever had one.
        """
        engine = self.ledger.get(job_id).engine
        if engine is None or not self._adapters[engine].deliver_again(job_id):
            raise AssertionError(f"expected a job that an engine was offered, got {job_id}")

    def set_trap(self, trap: Trap) -> None:
        """Let something befall the next attempt that comes to a step."""
        self.ledger.traps.waiting.append(trap)

    def lose_lease(self, job_id: str) -> None:
        """Take a job away from the attempt that runs it, or from the next one."""
        if self.ledger.get(job_id).state is JobState.RUNNING:
            self.ledger.end_lease(job_id)
        else:
            self.ledger.traps.waiting.append(Trap("lose", "during", None, job_id))

    def ledger_down(self, during: str | None, times: int) -> None:
        """Let the ledger be away in the next calls."""
        self.ledger.away(during, times)

    def crash_at(self, point: str) -> None:
        """Let the process die that comes to a crash point next."""
        self._crash = point
        if self._at_point not in HOOKS:
            HOOKS.append(self._at_point)

    def close(self) -> None:
        """Take the hook of the crash points away."""
        if self._at_point in HOOKS:
            HOOKS.remove(self._at_point)

    def _at_point(self, point: str) -> None:
        if point == self._crash:
            self._crash = None
            self.ledger.die(point)

    def _died(self) -> None:
        # What died in a dispatch of a job is its worker, which the attempt's end replaces.
        if self.current is None:
            self.ledger.start_process()

    def _wrapped(self, definition: AnyDefinition) -> AnyDefinition:
        # Made once for each: a definition checks all that it says when it is made.
        known, noted = self._noting.get(definition.name, (None, definition))
        if known is not definition:
            noted = noting_errors(definition, self._note_error)
            self._noting[definition.name] = (definition, noted)
        return noted if self._loop is None else in_loop(noted, self._loop)

    def _note_error(self, error: BaseException) -> None:
        if self.current is not None:
            self._errors[self.current.job_id] = error

    def _next(self, queue: str | None) -> _Taken | None:
        for engine, each in self._lanes(queue):
            message = self._adapters[engine].take(each)
            if message is not None:
                return _Taken(engine, each, message)
        return None

    def _attempt(self, found: _Taken) -> Attempt | None:
        engine, queue, message = found
        name = self._name_of(message.job_id)
        self.ledger.start_process()
        try:
            reached("take.before")
            reached("take.after")
            worker = _boot_id(engine, queue.name)
            where = (message.job_id, message.epoch, engine, queue.name)
            claim = self._claimed(Ticket(*where, secrets.token_hex(8), worker, queue.lease))
            reached("ack.before")
            reached("ack.after")
            if claim is None:
                return None
            self.current = claim
            state = self._executor.run(claim, Lease())
            return Attempt(message.job_id, name, engine, state)
        except ProcessDied:
            return Attempt(message.job_id, name, engine, None, died=True)
        finally:
            self._leave_attempt(message.job_id)

    def _leave_attempt(self, job_id: str) -> None:
        self.ledger.start_process()
        if self.current is not None:
            self._steps[job_id] = self.ledger.traps.begun.get(self.current.claim_id, "")
        self.current = None

    def _claimed(self, ticket: Ticket) -> Claim | None:
        try:
            return self.ledger.claim(ticket)
        except (JobDeferredError, LedgerError):
            # It waits for its turn; or the ledger was away, and its pickup deadline passes.
            return None

    def _name_of(self, job_id: str) -> str:
        try:
            return self.ledger.get(job_id).name
        except (JobNotFoundError, LedgerError):
            return "?"

    def _while_it_waits(self) -> None:
        if self.current is not None:
            self.ledger.renew([self.current])
        self._beat()

    def _look(self) -> None:
        self.ledger.start_process()
        super()._look()

    def _beat(self) -> None:
        for engine, queue in self._lanes(None):
            worker = WorkerRecord(_boot_id(engine, queue.name), engine, queue.name, "test", 1, 8)
            with suppress(LedgerError):
                self.ledger.beat(worker, TTL)


def _boot_id(engine: str, queue: str) -> str:
    return f"{engine}-{queue}"
