"""The process's own dispatcher, made from the environment on first use."""

import asyncio
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.dispatching.bulk import MANY, DispatchOutcome, DispatchRequest, Many
from failsoft.dispatcher.dispatching.flow import Completion
from failsoft.dispatcher.handles.async_job import AsyncJobHandle
from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.definitions.links import AnyLink
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.records.groups import When

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: Who puts a dispatcher together from the environment; the worker app's wiring does.
WIRING_GROUP = "failsoft.wiring"


class _Default:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self._pid = 0

    def get(self) -> Dispatcher:
        with self._lock:
            if self._dispatcher is None or self._pid != os.getpid():
                self._dispatcher, self._pid = _wire(), os.getpid()
            return self._dispatcher

    def set(self, dispatcher: Dispatcher | None) -> None:
        with self._lock:
            self._dispatcher, self._pid = dispatcher, os.getpid()


_default = _Default()


def default_dispatcher() -> Dispatcher:
    """Return this process's dispatcher, made from the environment on first use.

    Raises:
        ConfigurationError: If a setting is wrong, or nothing that reads settings is installed.
    """
    return _default.get()


def use_dispatcher(dispatcher: Dispatcher | None) -> None:
    """Make `dispatch_job` use this dispatcher; None goes back to the environment's."""
    _default.set(dispatcher)


def dispatch_many(
    job: JobDefinition[P, R],
    items: Iterable[P | DispatchRequest[P]],
    *,
    how: Many = MANY,
    **options: Unpack[DispatchOptions],
) -> list[DispatchOutcome[R]]:
    """Dispatch many jobs of one definition; see `Dispatcher.dispatch_many`."""
    return default_dispatcher().dispatch_many(job, items, how=how, **options)


def dispatch_job(
    job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
) -> JobHandle[R]:
    """Dispatch a job: record it in the ledger, hand it to RQ, or to Dramatiq if RQ cannot.

    Args:
        job: The job's definition; its declaration is enough.
        payload: What it works on, an instance of the job's payload model.
        options: See `DispatchOptions`: `idempotency_key`, `delay`, `confirm` and others.

    Returns:
        A handle: ask it for the job's state or result, or cancel the job.

    Raises:
        DispatchError: The payload or an option is wrong; nothing was stored.
        LedgerUnavailableError: The ledger did not answer. A broker's failure never raises: once
            the job is committed it is accepted (I1).
    """
    return default_dispatcher().dispatch(job, payload, **options)


def dispatch_chain(
    *links: *tuple[*tuple[AnyLink[Any], ...], AnyLink[R]], chain_id: str | None = None
) -> ChainHandle[R]:
    """Dispatch jobs that run one after the other; see `Dispatcher.dispatch_chain`."""
    return default_dispatcher().dispatch_chain(*links, chain_id=chain_id)


def dispatch_group(
    links: Sequence[AnyLink[Any]],
    completion: Completion | None = None,
    *,
    when: When = "all_ended",
    group_id: str | None = None,
) -> GroupHandle:
    """Dispatch jobs that run side by side; see `Dispatcher.dispatch_group`."""
    return default_dispatcher().dispatch_group(links, completion, when=when, group_id=group_id)


def send_event(
    name: str,
    payload: object = None,
    *,
    to: "JobHandle[Any] | str | None" = None,
    key: str | None = None,
    event_id: str | None = None,
    keep: timedelta | None = None,
) -> int:
    """Send an event to a job that waits for it, now or later.

    Args:
        name: The event's name.
        payload: What it says: anything JSON can carry, a pydantic model too.
        to: The job it is for: its handle or its id.
        key: Or a key: every job that waits under it receives the event once.
        event_id: Sending the same id again is harmless; a new one where None.
        keep: How long it is kept for jobs that do not wait yet; seven days where None.

    Returns:
        How many jobs it woke.

    Raises:
        DispatchError: Something is wrong; nothing was stored.
        LedgerUnavailableError: The ledger did not answer; the event may not be stored.
    """
    return default_dispatcher().send_event(
        name, payload, to=to, key=key, event_id=event_id, keep=keep
    )


def _wire() -> Dispatcher:
    for entry in entry_points(group=WIRING_GROUP):
        dispatcher: Dispatcher = entry.load()()
        return dispatcher
    raise ConfigurationError(
        "expected an installed `failsoft-worker`, which reads the settings, got none; "
        "run `pip install failsoft`, or call use_dispatcher(...) first"
    )


async def dispatch_job_async(
    job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
) -> AsyncJobHandle[R]:
    """Dispatch a job without blocking the event loop; the rest is `dispatch_job`.

    Args:
        job: The job's definition; its declaration is enough.
        payload: What it works on, an instance of the job's payload model.
        options: See `DispatchOptions`; `session` is an `AsyncSession` or an `AsyncConnection`.

    Returns:
        A handle whose methods are awaited.

    Raises:
        DispatchError: The payload or an option is wrong; nothing was stored.
        LedgerUnavailableError: The ledger did not answer.
    """
    dispatcher = await asyncio.to_thread(default_dispatcher)
    return AsyncJobHandle(await dispatcher.dispatch_async(job, payload, **options))
