"""Dispatching in a transaction of the caller's: the offer goes out when that has committed."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.dispatching.duplicates import Settled
from failsoft.dispatcher.dispatching.recorder import Recorder, queue_of
from failsoft.dispatcher.handles.job import HandleLedger, JobHandle
from failsoft.dispatcher.handles.waiting import FIRST_LOOK
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Route
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import (
    ConfigurationError,
    JobNotFoundError,
    LedgerError,
    OptionInvalidError,
)
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")
T = TypeVar("T")

#: How long to wait for a caller's commit that is under way; a rescuer offers what comes later.
COMMIT_PATIENCE = timedelta(seconds=5)
NONE = timedelta(0)

HandOver = Callable[[Settled, Route, QueueProfile, Deadline], JobRecord]


class AwaitedSession(Protocol):
    """What SQLAlchemy's `AsyncSession` and `AsyncConnection` have in common."""

    async def run_sync(self, fn: Callable[[Any], T], /) -> T:
        """Call a function with the session that is not awaited, off and on the event loop."""
        ...


class CallerTransactionDispatch:
    """Record jobs in the callers' transactions."""

    def __init__(
        self,
        ledger: HandleLedger,
        recorder: Recorder,
        offerer: Offerer,
        *,
        hand_over: HandOver,
    ) -> None:
        self._ledger = ledger
        self._recorder = recorder
        self._offerer = offerer
        self._clock = offerer.clock
        self._hand_over = hand_over

    def dispatch(
        self, job: JobDefinition[P, R], new: NewJob, options: DispatchOptions
    ) -> JobHandle[R]:
        """Record a job in the transaction of `session`."""
        record = partial(self._record, job, new, options, route=self._recorder.route(new))
        return record(options.get("session"))

    async def dispatch_async(
        self, job: JobDefinition[P, R], new: NewJob, options: DispatchOptions
    ) -> JobHandle[R]:
        """Do as `dispatch` with an awaited session; only the caller's SQL is on the event loop."""
        session = _awaited(options.get("session"))
        route = await in_thread(lambda: self._recorder.route(new))
        return await session.run_sync(partial(self._record, job, new, options, route=route))

    def _record(
        self,
        job: JobDefinition[P, R],
        new: NewJob,
        options: DispatchOptions,
        session: object,
        *,
        route: Route,
    ) -> JobHandle[R]:
        caller = self._ledger.within(session)
        queue = queue_of(job, options)
        settled = self._recorder.settle(job, new, route, options, caller=caller)
        if settled.disposition == "created":
            hand_over = partial(self._after_commit, settled, route, queue, options.get("budget"))
            caller.when_over(
                lambda is_over: hand_over(patience=NONE if is_over else COMMIT_PATIENCE)
            )
        return JobHandle(
            settled.record, job, self._ledger, self._clock, disposition=settled.disposition
        )

    def _after_commit(
        self,
        settled: Settled,
        route: Route,
        queue: QueueProfile,
        budget: timedelta | None,
        *,
        patience: timedelta,
    ) -> None:
        # If this fails, a rescuer finds the job, provided that it is committed (I1).
        with suppress(LedgerError):
            if self._is_committed(settled.record, patience):
                self._recorder.emit(settled)
                self._offerer.note(settled.record.id, route.skipped)
                self._hand_over(settled, route, queue, self._offerer.deadline(budget))

    def _is_committed(self, job: JobRecord, patience: timedelta) -> bool:
        """Look for the job until the patience ends: its commit may be under way."""
        deadline, pause = Deadline.after(self._clock, patience), FIRST_LOOK / 10
        while True:
            try:
                return self._ledger.get(job.id).epoch == job.epoch
            except JobNotFoundError:
                if deadline.passed:
                    return False
            self._clock.sleep(pause)
            pause = min(pause * 2, FIRST_LOOK)


def _awaited(session: Any) -> AwaitedSession:
    if not callable(getattr(session, "run_sync", None)):
        raise OptionInvalidError(
            "expected a SQLAlchemy AsyncSession or AsyncConnection, got "
            f"{type(session).__name__}; write `dispatch_job(..., session=session)`, which blocks "
            "the event loop as that session does"
        )
    if find_spec("greenlet") is None:
        raise ConfigurationError(
            f"expected greenlet, which SQLAlchemy needs for a {type(session).__name__}, got none; "
            "install it with `pip install 'sqlalchemy[asyncio]'`"
        )
    awaited: AwaitedSession = session
    return awaited
