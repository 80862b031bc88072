"""`Dispatcher`: record a job, then offer it; nothing is sent for what is not committed."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from understudy.dispatcher.engine_set import EngineSet
from understudy.dispatcher.flow import AnyLink, Completion, Flow
from understudy.dispatcher.flow_handles import ChainHandle, GroupHandle
from understudy.dispatcher.handle import FIRST_LOOK, SLOWEST_LOOK, HandleLedger, JobHandle
from understudy.dispatcher.offering import PARK_FIRST, Offerer
from understudy.dispatcher.options import DispatchOptions, new_job
from understudy.dispatcher.routing import Route, Router
from understudy.dispatcher.schedules import Schedules
from understudy.job_engine.clock import Clock, Deadline
from understudy.job_engine.definition import AnyDefinition, JobDefinition
from understudy.job_engine.errors import (
    DuplicateDispatchError,
    IdempotencyConflictError,
    LedgerError,
    OptionInvalidError,
)
from understudy.job_engine.events import Event, Listener
from understudy.job_engine.flow import Link
from understudy.job_engine.groups import When
from understudy.job_engine.queues import QueueProfile
from understudy.job_engine.records import JobRecord, NewJob, OfferPlan
from understudy.job_engine.states import JobState

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: How long handing a job over may take, first failure of an engine included.
DEFAULT_BUDGET = timedelta(seconds=1)

_ONE_COMMIT = Route((), ())


class Dispatcher:
    """Dispatch jobs: the ledger first, then an engine, then the other one.

    Once `dispatch` has returned, the job is in the ledger and ends visibly, whatever becomes of
    the engines (I1).
    """

    def __init__(
        self,
        ledger: HandleLedger,
        router: Router,
        offerer: Offerer,
        engines: EngineSet,
        *,
        clock: Clock,
        listener: Listener,
        budget: timedelta = DEFAULT_BUDGET,
    ) -> None:
        """Put the parts together; `understudy.worker.wiring` does it from the settings."""
        self._ledger = ledger
        self._router = router
        self._offerer = offerer
        self._engines = engines
        self._clock = clock
        self._listener = listener
        self._budget = budget
        self._flow = Flow(ledger, self._route, offerer, clock, budget=budget)

    def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Record a job and hand it to an engine.

        Args:
            job: The job's definition; its declaration is enough.
            payload: What it works on.
            options: See `DispatchOptions`.

        Raises:
            DispatchError: The payload or an option is wrong, or the key is taken; nothing was
                stored.
            LedgerUnavailableError: The ledger did not answer; the job may not have been stored.
        """
        deadline = Deadline.after(self._clock, options.get("budget", self._budget))
        new = new_job(job, payload, options, self._clock)
        queue = _with_pickup(job.queue, options.get("pickup"))
        route = self._route(new)
        record, created = self._record(new, queue, route)
        # A commit whose reply was lost finds its own row when it is repeated (F22).
        created = created or (record.id == new.id and "job_id" not in options)
        if not created:
            self._accept_existing(new, record, options)
            return JobHandle(record, job, self._ledger, self._clock, created=False)
        self._tell(job, record)
        self._offerer.note(record.id, route.skipped)
        if record.state is JobState.OFFERED and route.order:
            with suppress(LedgerError):
                # The job is committed; a ledger that goes away now costs time only (I1).
                record = self._offerer.carry(record, route.order[1:], queue, deadline)
                self._engines.watch_in_background()
                if options.get("confirm") == "pickup":
                    record = self._confirm_pickup(record, queue)
        return JobHandle(record, job, self._ledger, self._clock)

    def dispatch_chain(
        self, *links: *tuple[*tuple[AnyLink, ...], Link[Any, R]], chain_id: str | None = None
    ) -> ChainHandle[R]:
        """Record jobs that run one after the other; each starts when the one before succeeded.

        All are recorded in one commit. When one fails or is cancelled, those after it are
        cancelled and say why.

        Args:
            links: The jobs, in their order; `result_field` passes on the result before it.
            chain_id: The chain's id; dispatching it again makes no second chain.

        Raises:
            DispatchError: A job or an option is wrong, or an id is taken; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; the chain may not have been stored.
        """
        return self._flow.chain(links, chain_id)

    def dispatch_group(
        self,
        links: Sequence[AnyLink],
        completion: Completion | None = None,
        *,
        when: When = "all_ended",
        group_id: str | None = None,
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

        Raises:
            DispatchError: A job or an option is wrong; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; some of the jobs may be stored.
        """
        return self._flow.group(links, completion, when, group_id)

    def schedules(self) -> Schedules:
        """Return the schedules: list, pause, resume or trigger them."""
        return Schedules(self._ledger, self.dispatch)

    def close(self) -> None:
        """Write what is still to be written; for programs that end soon after a dispatch."""
        self._offerer.flush()

    def _route(self, new: NewJob) -> Route:
        unknown = self._router.unknown(new.engines)
        if unknown:
            raise OptionInvalidError(
                f"expected engines that this program has, got {', '.join(unknown)}; "
                "check UNDERSTUDY_ENGINES and the engines of the job"
            )
        if not self._router.allowed(new.engines):
            raise OptionInvalidError(
                f"expected engines that are switched on, got {', '.join(new.engines) or 'none'}; "
                "check USE_RQ and the engines of the job"
            )
        waits = new.delay is not None or new.run_at is not None
        return _ONE_COMMIT if waits else self._router.route(new.queue, new.engines)

    def _record(self, new: NewJob, queue: QueueProfile, route: Route) -> tuple[JobRecord, bool]:
        if route.order:
            return self._ledger.record_job(new, OfferPlan(route.order[0], queue.pickup))
        parked = new if route is _ONE_COMMIT else replace(new, delay=PARK_FIRST)
        return self._ledger.record_job(parked, None)

    def _confirm_pickup(self, record: JobRecord, queue: QueueProfile) -> JobRecord:
        """Wait for the claim, the only proof of pickup; then move on once per engine."""
        tried = {record.engine}
        while (record := self._wait_for_claim(record, queue)).state is JobState.OFFERED:
            route = self._router.route(record.queue, record.engines, epoch=record.epoch + 1)
            others = [name for name in route.order if name not in tried]
            if not others:
                return record
            tried.add(others[0])
            moved = self._offerer.hand_over(record, others[0], queue, "not picked up in time")
            if moved is None:
                continue
            deadline = Deadline.after(self._clock, self._budget)
            record = self._offerer.carry(moved, (), queue, deadline)
        return record

    def _wait_for_claim(self, record: JobRecord, queue: QueueProfile) -> JobRecord:
        deadline = Deadline.after(self._clock, queue.pickup)
        pause = FIRST_LOOK
        while record.state is JobState.OFFERED and not deadline.passed:
            self._clock.sleep(min(pause, deadline.remaining()))
            pause = min(pause * 2, SLOWEST_LOOK)
            record = self._ledger.get(record.id)
        return record

    def _accept_existing(self, new: NewJob, record: JobRecord, options: DispatchOptions) -> None:
        if (record.name, record.payload_sha) != (new.name, new.payload_sha):
            raise IdempotencyConflictError(
                f"expected the payload that job {record.id} was dispatched with, got another; "
                "use another idempotency key or job id for other work (I10)"
            )
        if options.get("on_duplicate") == "raise":
            raise DuplicateDispatchError(
                f"expected an unused idempotency key or job id, got that of job {record.id}, "
                f"which is {record.state}"
            )

    def _tell(self, job: AnyDefinition, record: JobRecord) -> None:
        detail = {"state": str(record.state)}
        self._listener(
            Event(
                "job.dispatch",
                record.id,
                job.name,
                record.queue,
                record.engine,
                record.epoch,
                detail,
            )
        )


def _with_pickup(queue: QueueProfile, pickup: timedelta | None) -> QueueProfile:
    return queue if pickup is None else replace(queue, pickup=pickup)
