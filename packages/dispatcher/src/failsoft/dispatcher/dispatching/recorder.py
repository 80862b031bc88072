"""The ledger's part of a dispatch: one commit, also if others dispatch the same job."""

from dataclasses import replace
from datetime import timedelta

from failsoft.dispatcher.dispatching.duplicates import Duplicates, Settled
from failsoft.dispatcher.handles.job import HandleLedger
from failsoft.dispatcher.offering.offerer import PARK_FIRST
from failsoft.dispatcher.offering.router import Route, Router
from failsoft.dispatcher.options.options import DispatchOptions, on_duplicate
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.policies.queue import QueueProfile, queue_profile
from failsoft.job_engine.policies.uniqueness import UniqueScope
from failsoft.job_engine.ports.measures import Series
from failsoft.job_engine.ports.transactional import CallersTransaction
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.telemetry import Event, Listener
from failsoft.job_engine.tracing import tracer

_ONE_COMMIT = Route((), ())
NONE = timedelta(0)


class Recorder:
    """Choose the engines for a job and record it, or settle on the one that is there.

    Attributes:
        router: What orders the engines.
    """

    def __init__(
        self, ledger: HandleLedger, router: Router, listener: Listener, measures: Measures
    ) -> None:
        self._ledger = ledger
        self.router: Router = router
        self._listener = listener
        self._measures = measures
        self._duplicates = Duplicates(ledger)

    def route(self, new: NewJob) -> Route:
        """Order the engines for a new job; a job that waits has none.

        Raises:
            OptionInvalidError: If none that it may run on is there, or switched on.
        """
        unknown = self.router.unknown(new.engines) if new.engines else ()
        if unknown:
            raise OptionInvalidError(
                f"expected engines that this program has, got {', '.join(unknown)}; "
                "check FAILSOFT_ENGINES and the engines of the job"
            )
        if not self.router.allowed(new.engines):
            raise OptionInvalidError(
                f"expected engines that are switched on, got {', '.join(new.engines) or 'none'}; "
                "check USE_RQ and the engines of the job"
            )
        waits = new.delay is not None or new.run_at is not None
        if waits or self.router.is_paused(new.name, new.queue):
            return _ONE_COMMIT
        return self.router.route(new)

    def reroute(self, record: JobRecord) -> Route:
        """Order the engines for a job that was there before this dispatch."""
        return self.router.route(record, epoch=record.epoch + 1)

    def planned(
        self, new: NewJob, queue: QueueProfile, route: Route
    ) -> tuple[NewJob, OfferPlan | None]:
        """Return a job as it is recorded: with the plan of its offer, waiting, or parked."""
        if route.order and new.limits:
            return replace(new, delay=NONE), None
        if route.order:
            return new, OfferPlan(route.order[0], queue.pickup, route.by_rule)
        return new if route is _ONE_COMMIT else replace(new, delay=PARK_FIRST), None

    def settle(
        self,
        job: AnyDefinition,
        new: NewJob,
        route: Route,
        options: DispatchOptions,
        *,
        caller: CallersTransaction | None = None,
    ) -> Settled:
        """Record a job in one commit, or in the caller's; or find the one that is there.

        Raises:
            DispatchError: If the job is there already, and that is an error.
        """
        record_job = (caller or self._ledger).record_job
        while True:
            with tracer().record(self._ledger.system):
                found = record_job(*self.planned(new, queue_of(job, options), route))
            settled = self.settled(job, new, found, options)
            if settled is not None:
                return settled

    def settled(
        self,
        job: AnyDefinition,
        new: NewJob,
        found: tuple[JobRecord, bool],
        options: DispatchOptions,
    ) -> Settled | None:
        """Decide about the ledger's answer; None if the job is to be recorded again."""
        record, created = found
        # A commit whose reply was lost finds its own row when it is repeated (F22).
        if created or (record.id == new.id and "job_id" not in options):
            return Settled(record, "created")
        settled = self._duplicates.settle(new, record, on_duplicate(job, options))
        if settled.disposition == "replaced" or not _is_debounced(new):
            return settled
        # It has begun since and holds its key no more: the last dispatch makes a new job.
        return None

    def emit(self, settled: Settled) -> None:
        """Count a dispatch, and emit its event if it changed the ledger."""
        job = settled.record
        counted = Series("dispatched", job.name, job.queue, labels=settled.disposition)
        self._measures.count(counted)
        if settled.disposition == "existing":
            return
        kind = "job.dispatch" if settled.disposition == "created" else "job.replace"
        self._listener(Event.of(job, kind, state=str(job.state)))


def queue_of(job: AnyDefinition, options: DispatchOptions) -> QueueProfile:
    """Return the profile of the queue of this dispatch, with its pickup deadline."""
    queue = queue_profile(options["queue"]) if "queue" in options else job.queue
    pickup = options.get("pickup")
    return queue if pickup is None else replace(queue, pickup=pickup)


def _is_debounced(new: NewJob) -> bool:
    return new.unique is not None and new.unique.scope is UniqueScope.UNBEGUN
