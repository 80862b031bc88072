"""Dispatching many jobs at once: a transaction a chunk, a pipeline an engine."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.dispatching.duplicates import Settled
from failsoft.dispatcher.dispatching.recorder import Recorder, queue_of
from failsoft.dispatcher.handles.job import HandleLedger, JobHandle
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Route
from failsoft.dispatcher.options.checks import check_job
from failsoft.dispatcher.options.options import DispatchOptions, Ids, JobMaker
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import FailsoftError, LedgerError, OptionInvalidError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.tracing import Span, traced, tracer
from failsoft.job_engine.validation import Expect

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: How many jobs one transaction records at most.
MAX_CHUNK = 10_000

_EXPECT = Expect(OptionInvalidError, "dispatch_many: ")


@dataclass(frozen=True)
class DispatchRequest(Generic[P]):
    """One of many dispatches, with options of its own.

    Attributes:
        payload: What the job works on.
        options: They override those that all of them share.
    """

    payload: P
    options: DispatchOptions = field(default_factory=DispatchOptions)


@dataclass(frozen=True)
class DispatchOutcome(Generic[R]):
    """What became of one of many dispatches: a handle, or an error.

    Attributes:
        index: The place of its item.
        handle: The job; None where there is an error.
        error: Why there is no handle. After a `LedgerError` the job may have been stored.
    """

    index: int
    handle: JobHandle[R] | None = None
    error: FailsoftError | None = None


@dataclass(frozen=True, kw_only=True)
class Many:
    """How many jobs are dispatched at once.

    Attributes:
        chunk: How many one transaction records.
        on_error: `report` leaves out a wrong item and puts the error into its outcome; `raise`
            checks every item first, and stores nothing if one is wrong.
        progress: Called after each chunk with how many items are done.
    """

    chunk: int = 500
    on_error: Literal["report", "raise"] = "report"
    progress: Callable[[int], object] = lambda done: None

    def __post_init__(self) -> None:
        """Refuse a chunk of nothing."""
        _EXPECT.whole("a chunk", self.chunk, least=1, most=MAX_CHUNK)
        _EXPECT.one_of("on_error", self.on_error, ("report", "raise"))
        _EXPECT.callable("a progress that can be called", self.progress)


#: In chunks of 500, with errors reported.
MANY = Many()


@dataclass(frozen=True, slots=True)
class _Ready:
    index: int
    new: NewJob
    route: Route
    options: DispatchOptions


#: What the jobs of one pipeline have in common: route, profile of the queue, budget.
_Together = tuple[Route, QueueProfile, timedelta | None]


class BulkDispatch(Generic[P, R]):
    """The many dispatches of one definition."""

    def __init__(
        self,
        job: JobDefinition[P, R],
        ledger: HandleLedger,
        *,
        recorder: Recorder,
        offerer: Offerer,
        ids: Ids,
    ) -> None:
        self._job = job
        self._ids = ids
        self._ledger = ledger
        self._recorder = recorder
        self._offerer = offerer
        self._clock = offerer.clock
        self._outcomes: dict[int, DispatchOutcome[R]] = {}
        self._of_shared: JobMaker | None = None
        self._routed: Route | None = None
        self._routed_until = 0

    def run(
        self, items: Iterable[P | DispatchRequest[P]], how: Many, shared: DispatchOptions
    ) -> list[DispatchOutcome[R]]:
        """Dispatch them all; see `Dispatcher.dispatch_many`."""
        check_job(self._job)
        _EXPECT.a(Many, "how many", how, "write Many(chunk=..., on_error=...)")
        _EXPECT.a(Iterable, "items to go through", items)
        _refuse_lonely_options(shared)
        given = enumerate(items)
        if how.on_error == "raise":
            ready = [self._prepare(index, item, shared) for index, item in given]
            for chunk in _chunks(iter(ready), how.chunk):
                self._dispatch(chunk)
                how.progress(chunk[-1].index + 1)
        else:
            for some in _chunks(given, how.chunk):
                self._dispatch([each for each in map(self._tried(shared), some) if each])
                how.progress(some[-1][0] + 1)
        return [self._outcomes[index] for index in sorted(self._outcomes)]

    def _tried(
        self, shared: DispatchOptions
    ) -> Callable[[tuple[int, P | DispatchRequest[P]]], _Ready | None]:
        def prepare(given: tuple[int, P | DispatchRequest[P]]) -> _Ready | None:
            try:
                return self._prepare(*given, shared)
            except FailsoftError as error:
                self._note_error(given[0], error)
                return None

        return prepare

    def _prepare(self, index: int, item: P | DispatchRequest[P], shared: DispatchOptions) -> _Ready:
        if isinstance(item, DispatchRequest):
            options = _merged(shared, item.options)
            _refuse_lonely_options(options)
            new = self._maker(options).job(item.payload)
            return _Ready(index, new, self._recorder.route(new), options)
        if self._of_shared is None:
            self._of_shared = self._maker(shared)
        new = self._of_shared.job(item)
        return _Ready(index, new, self._route(index, new), shared)

    def _maker(self, options: DispatchOptions) -> JobMaker:
        return JobMaker(self._job, options, self._clock, self._ids)

    def _route(self, index: int, new: NewJob) -> Route:
        """Order the engines for a job with the shared options: alike for many, if nothing varies.

        Then the decision counts for as many as one transaction records at most by default.
        """
        if self._routed is None or index >= self._routed_until or new.limits:
            self._routed = self._recorder.route(new)
            steady = self._recorder.router.is_steady
            self._routed_until = index + MANY.chunk if steady else 0
        return self._routed

    def _dispatch(self, chunk: Sequence[_Ready]) -> None:
        if chunk:
            with tracer().dispatch(chunk[0].new.queue, self._job.name) as span:
                span.note(batch_count=len(chunk))
                self._dispatch_traced(chunk, span)

    def _dispatch_traced(self, chunk: Sequence[_Ready], span: Span) -> None:
        planned = [
            self._recorder.planned(
                traced(each.new, span), queue_of(self._job, each.options), each.route
            )
            for each in chunk
        ]
        try:
            with tracer().record(self._ledger.system):
                found = self._ledger.record_jobs(planned)
        except LedgerError as error:
            for each in chunk:
                self._note_error(each.index, error)
            return
        groups: defaultdict[_Together, list[JobRecord]] = defaultdict(list)
        for each, record in zip(chunk, found, strict=True):
            settled = self._settle(each, record)
            if settled is None:
                continue
            self._recorder.emit(settled)
            is_new = settled.disposition != "existing"
            if is_new and settled.record.state is JobState.OFFERED:
                groups[self._together(each)].append(settled.record)
        with suppress(LedgerError):
            # They are committed; a ledger that fails now costs time only (I1).
            self._carry(groups)

    def _settle(self, each: _Ready, found: tuple[JobRecord, bool]) -> Settled | None:
        try:
            settled = self._recorder.settled(self._job, each.new, found, each.options)
            settled = settled or self._recorder.settle(
                self._job, each.new, each.route, each.options
            )
        except FailsoftError as error:
            self._note_error(each.index, error)
            return None
        handle = JobHandle(
            settled.record,
            self._job,
            self._ledger,
            self._clock,
            disposition=settled.disposition,
        )
        self._outcomes[each.index] = DispatchOutcome(each.index, handle)
        return settled

    def _together(self, each: _Ready) -> _Together:
        return each.route, queue_of(self._job, each.options), each.options.get("budget")

    def _carry(self, groups: Mapping[_Together, Sequence[JobRecord]]) -> None:
        for (route, queue, budget), records in groups.items():
            self._offerer.carry_many(records, route.order[1:], queue, budget)
        self._offerer.engines.watch_in_background()

    def _note_error(self, index: int, error: FailsoftError) -> None:
        self._outcomes[index] = DispatchOutcome(index, error=error)


T = TypeVar("T")


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while some := list(islice(items, size)):
        yield some


def _merged(shared: DispatchOptions, own: DispatchOptions) -> DispatchOptions:
    merged = DispatchOptions(**shared)
    merged.update(own)
    return merged


def _refuse_lonely_options(options: DispatchOptions) -> None:
    if options.get("confirm") == "pickup" or options.get("session") is not None:
        raise OptionInvalidError(
            "expected neither confirm='pickup' nor a session for many jobs, got one; "
            "use dispatch_job"
        )
