"""`Dispatcher`: record a job, then offer it; nothing is sent for what is not committed."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from failsoft.dispatcher.control import Control
from failsoft.dispatcher.dispatching.bulk import (
    MANY,
    BulkDispatch,
    DispatchOutcome,
    DispatchRequest,
    Many,
)
from failsoft.dispatcher.dispatching.caller_transaction import CallerTransactionDispatch
from failsoft.dispatcher.dispatching.duplicates import Settled
from failsoft.dispatcher.dispatching.flow import Completion, Flow
from failsoft.dispatcher.dispatching.pickup import Pickups
from failsoft.dispatcher.dispatching.recorder import Recorder, queue_of
from failsoft.dispatcher.dispatching.send_event import new_event
from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
from failsoft.dispatcher.handles.job import HandleLedger, JobHandle
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Route, Router
from failsoft.dispatcher.options.checks import check_shard
from failsoft.dispatcher.options.options import DispatchOptions, Ids, new_job, random_id
from failsoft.dispatcher.schedules import Schedules
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.definitions.links import AnyLink
from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.groups import When
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Listener
from failsoft.job_engine.tracing import Span, traced, tracer

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class Dispatcher(Control):
    """Dispatch jobs: the ledger first, then an engine, then the other one.

    Once `dispatch` has returned, the job is in the ledger and ends visibly, whatever becomes of
    the engines (I1). `failsoft.worker.wiring` makes one from the settings.
    """

    def __init__(
        self,
        ledger: HandleLedger,
        router: Router,
        offerer: Offerer,
        *,
        listener: Listener,
        ids: Ids = random_id,
        release: Callable[[], object] | None = None,
    ) -> None:
        """Put a dispatcher together.

        Args:
            ledger: Where jobs are recorded.
            router: Orders the engines for a job.
            offerer: Offers jobs to engines.
            listener: Called with every event.
            ids: Returns the id of a new job.
            release: Closes the connections that are open; others are opened when they are needed.
        """
        self._release = release
        self._ledger = ledger
        self._router = router
        self._ids = ids
        self._offerer = offerer
        self._clock = offerer.clock
        self._recorder = Recorder(ledger, router, listener, offerer.measures)
        self._pickups = Pickups(ledger, router, offerer)
        self._within = CallerTransactionDispatch(
            ledger, self._recorder, offerer, hand_over=self._hand_over
        )
        self._flow = Flow(ledger, self._recorder.route, offerer, ids)

    def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Record a job in the ledger, then offer it to RQ, or to Dramatiq if RQ cannot take it.

        Args:
            job: The job's definition; its declaration is enough.
            payload: What it works on, an instance of the job's payload model.
            options: See `DispatchOptions`: `idempotency_key`, `delay`, `confirm` and others.

        Returns:
            A handle, by which to read the job's state or result, or to cancel it.

        Raises:
            DispatchError: The payload or an option is wrong, or the key is taken; nothing was
                stored.
            LedgerUnavailableError: The ledger did not answer; the job may not have been stored. A
                broker's failure never raises: a committed job is accepted (I1).
        """
        started = self._clock.steady()
        new = new_job(job, payload, options, self._clock, ids=self._ids)
        deadline = self._offerer.deadline(options.get("budget"))
        with tracer().dispatch(new.queue, new.name) as span:
            new = traced(new, span)
            if options.get("session") is not None:
                handle = self._within.dispatch(job, new, options)
            else:
                handle = self._dispatch(job, new, options, deadline, span=span)
                self._offerer.measure(queue_of(job, options), self._clock.steady() - started)
            span.note(job_id=handle.id, disposition=handle.disposition)
        return handle

    def _dispatch(
        self,
        job: JobDefinition[P, R],
        new: NewJob,
        options: DispatchOptions,
        deadline: Deadline,
        *,
        span: Span,
    ) -> JobHandle[R]:
        queue = queue_of(job, options)
        route = self._recorder.route(new)
        span.note(engines_order=route.order)
        settled = self._recorder.settle(job, new, route, options)
        self._recorder.emit(settled)
        record = settled.record
        if settled.disposition != "existing":
            self._offerer.note(record.id, route.skipped)
            with suppress(LedgerError):
                # The job is committed; a ledger that fails now costs time only (I1).
                record = self._hand_over(settled, route, queue, deadline)
                if options.get("confirm") == "pickup":
                    record = self._pickups.confirm(record, queue)
        return JobHandle(record, job, self._ledger, self._clock, disposition=settled.disposition)

    async def dispatch_async(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Do as `dispatch`, without blocking the event loop.

        Its `session` is an `AsyncSession` or an `AsyncConnection`.
        """
        if options.get("session") is None:
            # A dispatch whose caller is cancelled still ends as a whole.
            return await in_thread(lambda: self.dispatch(job, payload, **options))
        new = new_job(job, payload, options, self._clock, ids=self._ids)
        with tracer().dispatch(new.queue, new.name) as span:
            handle = await self._within.dispatch_async(job, traced(new, span), options)
            span.note(job_id=handle.id, disposition=handle.disposition)
        return handle

    def dispatch_many(
        self,
        job: JobDefinition[P, R],
        items: Iterable[P | DispatchRequest[P]],
        *,
        how: Many = MANY,
        **options: Unpack[DispatchOptions],
    ) -> list[DispatchOutcome[R]]:
        """Dispatch many jobs of one definition: a transaction a chunk, a pipeline an engine.

        Whatever becomes of the engines half-way, each job that was recorded ends visibly (I1).

        Args:
            job: The definition of all of them.
            items: Payloads, or `DispatchRequest`s with options of their own.
            how: The size of a chunk, what an error does, and a callback for the progress.
            options: For each item that has none of its own.

        Returns:
            What became of each item, in their order: a handle or the error.

        Raises:
            DispatchError: With `Many(on_error="raise")`: an item is wrong; nothing was stored.
        """
        bulk = BulkDispatch(
            job, self._ledger, recorder=self._recorder, offerer=self._offerer, ids=self._ids
        )
        return bulk.run(items, how, options)

    def dispatch_chain(
        self,
        *links: *tuple[*tuple[AnyLink[Any], ...], AnyLink[R]],
        chain_id: str | None = None,
        after: JobHandle[Any] | str | None = None,
        shard: str | None = None,
    ) -> ChainHandle[R]:
        """Record jobs that run one after the other; each starts when the one before succeeded.

        All are recorded in one commit. When one fails or is cancelled, those after it are
        cancelled with that reason.

        Args:
            links: The jobs, in their order; `result_field` passes on the result before it.
            chain_id: The chain's id; dispatching it again makes no second chain.
            after: A job that is in the ledger, or its id: the first begins when that one has
                succeeded, and is cancelled if it ends, or has ended, otherwise.
            shard: What all of them belong to; see `DispatchOptions`.

        Raises:
            DispatchError: A job or an option is wrong, or an id is taken; nothing was stored.
            JobNotFoundError: The ledger has no job of the id `after`; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; the chain may not have been stored.
        """
        check_shard(shard)
        return self._flow.chain(links, chain_id, after)

    def dispatch_group(
        self,
        links: Sequence[AnyLink[Any]],
        completion: Completion | None = None,
        *,
        when: When = "all_ended",
        group_id: str | None = None,
        shard: str | None = None,
    ) -> GroupHandle:
        """Record jobs that run side by side, and one that starts when all of them have ended.

        They are recorded in chunks. A dispatch that was cut off leaves a group that is not
        sealed and does not complete; dispatching it again with its id goes on with it.

        Args:
            links: The jobs of the group.
            completion: A job for `GroupResult`, or a `Link` whose `result_field` takes one.
            when: Whether it starts whatever became of the jobs (`all_ended`), or is cancelled
                unless they all succeeded (`all_succeeded`).
            group_id: The group's id; dispatching it again makes no second group.
            shard: What all of them belong to; see `DispatchOptions`.

        Raises:
            DispatchError: A job or an option is wrong; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; some of the jobs may be stored.
        """
        check_shard(shard)
        return self._flow.group(links, completion, when, group_id)

    def schedules(self) -> Schedules:
        """Return the schedules: list, pause, resume or trigger them."""
        return Schedules(self._ledger, self.dispatch)

    def send_event(
        self,
        name: str,
        payload: object = None,
        *,
        to: "JobHandle[Any] | str | None" = None,
        key: str | None = None,
        event_id: str | None = None,
        keep: timedelta | None = None,
        shard: str | None = None,
    ) -> int:
        """Send an event to a job that waits for it, now or later.

        Args:
            name: The event's name.
            payload: Anything that JSON can carry, a pydantic model too.
            to: The job it is for: its handle or its id.
            key: Or a key: every job that waits under it receives the event once.
            event_id: Sending the same id again is harmless; a new one where None.
            keep: How long it is kept for jobs that do not wait yet; seven days where None.
            shard: What the jobs that wait under the key belong to; see `DispatchOptions`.

        Returns:
            How many jobs it woke.

        Raises:
            DispatchError: Something is wrong; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; the event may not be stored.
        """
        check_shard(shard)
        event = new_event(name, payload, to=to, key=key, event_id=event_id, keep=keep)
        return self._ledger.send(event)

    def expect_session(self, session: object, *, shard: str | None = None) -> None:
        """Make sure that a dispatch with this `session` can be recorded in its transaction.

        Raises:
            OptionInvalidError: It cannot: the session is on another database, or none.
            LedgerUnavailableError: The ledger did not answer.
        """
        check_shard(shard)
        self._ledger.within(session)

    def has_workers(self, queue: str) -> bool:
        """Return whether any live worker serves a queue, on whichever engine."""
        return self._router.is_served(queue)

    def flush(self) -> None:
        """Write what is still to be written of the tries to hand jobs over."""
        self._offerer.flush()

    def close(self) -> None:
        """Write what is still to be written, end threads that wait for a next dispatch, disconnect.

        For programs that end soon after a dispatch, or make many dispatchers; it may still be used.
        """
        self.flush()
        self._offerer.engines.close()
        if self._release is not None:
            self._release()

    def _hand_over(
        self, settled: Settled, route: Route, queue: QueueProfile, deadline: Deadline
    ) -> JobRecord:
        record, reason = settled.record, "room"
        if settled.disposition == "replaced" and route.order:
            # It keeps its id, and with that the engine that a rule chooses by it.
            route, reason = self._recorder.reroute(record), "dispatched again"
        if record.state is JobState.SCHEDULED and route.order:
            # Dispatched again, or under limits: it was recorded without an offer.
            plan = OfferPlan(route.order[0], queue.pickup, reason, if_room=bool(record.limits))
            record = self._ledger.offer(record, plan) or record
        if record.state is JobState.OFFERED and route.order:
            record = self._offerer.carry(record, route.order[1:], queue, deadline)
            self._offerer.engines.watch_in_background()
        return record
