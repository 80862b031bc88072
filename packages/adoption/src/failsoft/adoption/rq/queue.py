"""A queue of RQ's whose jobs are dispatched, and that uses no Redis."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn, cast

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Dependency
from rq.queue import EnqueueData
from rq.utils import parse_timeout

from failsoft.adoption.rq.call import FunctionCall, rq_failure_callback, rq_function
from failsoft.adoption.rq.job import AdoptedJob
from failsoft.adoption.rq.options import FRONT, call_of, options_of
from failsoft.api import (
    DispatchOptions,
    DuplicateDispatchError,
    JobDefinition,
    JobNotFoundError,
    Link,
    OptionInvalidError,
    default_dispatcher,
)
from failsoft.job_engine.policies.queue import queue_profile

_IN_A_CHAIN = ("ttl", "unique")


class _NoRedis:
    """In place of a connection to Redis: whatever would use one is refused."""

    def __getattr__(self, name: str) -> NoReturn:
        raise OptionInvalidError(
            f"expected a call that a FailsoftQueue carries out, got one that needs Redis ({name}); "
            "read the ledger by `failsoft jobs list`, or the job by fetch_job(id).handle"
        )


class FailsoftQueue(Queue):
    """`rq.Queue` whose enqueued functions are jobs of Failsoft, on whichever engine takes them.

    A function is called by its path, so a worker must allow its module in `FAILSOFT_CALLABLES`.
    Arguments, `meta` and results are JSON. `Retry`, `job_timeout`, `ttl`, `at_front`, `job_id`,
    `unique`, `on_failure` and `meta` are carried over, and `depends_on` of one job: the function
    begins when that one has succeeded. Everything else is refused by its name.
    """

    def __init__(
        self,
        name: str = "default",
        connection: Redis | None = None,
        default_timeout: int | str | None = None,
        **refused: object,
    ) -> None:
        """Stand for a declared queue.

        Args:
            name: The name of a declared queue.
            connection: Ignored, so that a call site may keep it.
            default_timeout: The longest a function may run, in seconds or as RQ reads it; the
                queue's own timeout where None.
            refused: Anything else that RQ's constructor takes.

        Raises:
            UnknownQueueError: No such queue is declared.
            OptionInvalidError: An option of RQ's cannot be carried over.
        """
        given = [
            each for each, value in refused.items() if value is not None and each != "is_async"
        ]
        if not refused.get("is_async", True):
            given.append("is_async=False")
        if given:
            raise OptionInvalidError(
                f"expected a FailsoftQueue without {', '.join(given)}, got one with it; leave it "
                "out: arguments are JSON, and jobs run in workers or in the tests of testkit"
            )
        queue_profile(name)
        super().__init__(name, connection=cast("Redis", _NoRedis()))
        self._default = parse_timeout(default_timeout)

    def enqueue_call(  # type: ignore[override]  # what it returns stands for RQ's job
        self,
        func: Callable[..., Any] | str,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        **options: Any,
    ) -> AdoptedJob:
        """Dispatch a function; `enqueue` and the decorator `rq.decorators.job` come here, too.

        Raises:
            DispatchError: An argument or an option cannot be carried over; nothing was stored.
            CallableRefusedError: The function is in no module of FAILSOFT_CALLABLES.
            DuplicateJobError: With `unique`: a job of this id exists.
            LedgerUnavailableError: The ledger did not answer; the job may not have been stored.
        """
        return self._enqueue({"func": func, "args": args, "kwargs": kwargs, **options})

    def enqueue_at(  # pyright: ignore[reportIncompatibleMethodOverride]  # what it returns
        self, datetime: datetime, f: Callable[..., Any] | str, *args: Any, **kwargs: Any
    ) -> AdoptedJob:
        """Dispatch a function that waits for a moment; `enqueue_in` comes here, too.

        Raises:
            DispatchError: As for `enqueue_call`.
        """
        # Typed for what it is called with by RQ itself.
        parse_args: Any = Queue.parse_args
        return self._enqueue(parse_args(f, *args, **kwargs)._asdict(), datetime)

    def enqueue_many(  # type: ignore[override]  # see above
        self,
        job_datas: Iterable[EnqueueData],
        pipeline: object = None,
        group_id: str | None = None,
    ) -> list[AdoptedJob]:
        """Dispatch functions; those that depend on one another as chains, each in one commit.

        Raises:
            DispatchError: An argument or an option of one cannot be carried over; nothing of that
                one, and of those after it, was stored.
        """
        given = [
            each._asdict() | {"pipeline": pipeline, "group_id": group_id} for each in job_datas
        ]
        jobs: list[AdoptedJob] = []
        for after, chain in _chains(given):
            is_alone = after is None and len(chain) == 1
            jobs += [self._enqueue(chain[0])] if is_alone else self._chain(chain, after)
        return jobs

    def fetch_job(self, job_id: str) -> AdoptedJob | None:  # type: ignore[override]  # see above
        """Return a dispatched function by its id; None if there is none."""
        try:
            return AdoptedJob(default_dispatcher().handle(rq_function, job_id))
        except JobNotFoundError:
            return None

    def _enqueue(self, given: Mapping[str, Any], run_at: datetime | None = None) -> AdoptedJob:
        after = _dependency(given.get("depends_on"))
        if after is not None:
            if run_at is not None:
                raise OptionInvalidError(
                    "expected a moment or depends_on, got both; enqueue the function at that "
                    "moment from the end of the one that it depends on"
                )
            return self._chain([given], after)[0]
        if given.get("unique") and not given.get("job_id"):
            raise OptionInvalidError("expected a job_id with unique=True, got none; give one")
        call = self._call(given)
        options: DispatchOptions = {**options_of(given, run_at), "queue": self.name}
        return self._handed_over(call, options)

    def _call(self, given: Mapping[str, Any]) -> FunctionCall:
        func, args, kwargs = given["func"], given["args"], given["kwargs"]
        return call_of(func, args, kwargs, given, default_timeout=self._default)

    def _handed_over(self, call: FunctionCall, options: DispatchOptions) -> AdoptedJob:
        try:
            handle = default_dispatcher().dispatch(definition_of(call), call, **options)
        except DuplicateDispatchError as error:
            raise DuplicateJobError(str(error)) from error
        return AdoptedJob(handle)

    def _chain(self, chain: Sequence[Mapping[str, Any]], after: str | None) -> list[AdoptedJob]:
        links = []
        for given in chain:
            refused = [name for name in _IN_A_CHAIN if given.get(name)]
            if refused:
                raise OptionInvalidError(
                    f"expected none of {', '.join(_IN_A_CHAIN)} in functions that depend on one "
                    f"another, got {', '.join(refused)}; leave it out"
                )
            call = self._call(given)
            priority = FRONT if given.get("at_front") else None
            link = Link(definition_of(call), call, job_id=given["job_id"], queue=self.name)
            links.append(replace(link, priority=priority))
        try:
            handle = default_dispatcher().dispatch_chain(*links[:-1], links[-1], after=after)
        except JobNotFoundError as error:
            raise OptionInvalidError(
                f"expected depends_on to name a job that is in the ledger, got {after!r}; enqueue "
                "that one first, or leave depends_on out if it ended long ago: a job that has "
                "succeeded is kept for a day"
            ) from error
        return [AdoptedJob(each) for each in handle.jobs]


def definition_of(call: FunctionCall) -> JobDefinition[FunctionCall, Any]:
    """Return the job that a call is dispatched as: with a job after it, if it has a callback."""
    return replace(rq_function, on_failure=rq_failure_callback) if call.on_failure else rq_function


def _chains(given: Sequence[dict[str, Any]]) -> list[tuple[str | None, list[dict[str, Any]]]]:
    """Sort functions into chains by what each depends on; most are alone.

    Returns:
        The chains, each with the job that it begins after: one of another chain, which stands
        before it, or one that was enqueued before.
    """
    chains: list[tuple[str | None, list[dict[str, Any]]]] = []
    #: The chains by their last jobs.
    open_chains: dict[str, list[dict[str, Any]]] = {}
    for each in given:
        before = _dependency(each.get("depends_on"))
        chain = open_chains.pop(before, None) if before is not None else None
        if chain is None:
            chain = []
            chains.append((before, chain))
        chain.append(each)
        if each["job_id"]:
            open_chains[each["job_id"]] = chain
    return chains


def _dependency(given: object) -> str | None:
    if not given:
        return None
    if isinstance(given, Dependency):
        if given.allow_failure:
            raise OptionInvalidError(
                "expected a Dependency without allow_failure, got one with it; use dispatch_group "
                "with a completion, which starts whatever became of the jobs"
            )
        given = list(given.dependencies)
    several = list(given) if isinstance(given, list | tuple) else [given]
    if len(several) != 1:
        raise OptionInvalidError(
            f"expected one job to depend on, got {len(several)}; use dispatch_group with a "
            "completion, which starts when all of them have ended"
        )
    return str(getattr(several[0], "id", several[0]))
