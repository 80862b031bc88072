"""The module functions, on this process's default dispatcher."""

import os
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.errors import ConfigurationError

if TYPE_CHECKING:
    # A program imports these functions early, in modules of which most processes dispatch nothing.
    # What carries them out is imported with the dispatcher, at the first call.
    from typing import Unpack

    from pydantic import BaseModel

    from failsoft.dispatcher.dispatcher import Dispatcher
    from failsoft.dispatcher.dispatching.bulk import DispatchOutcome, DispatchRequest, Many
    from failsoft.dispatcher.dispatching.flow import Completion
    from failsoft.dispatcher.handles.async_job import AsyncJobHandle
    from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
    from failsoft.dispatcher.handles.job import JobHandle
    from failsoft.dispatcher.options.options import DispatchOptions
    from failsoft.job_engine.definitions.definition import JobDefinition
    from failsoft.job_engine.definitions.links import AnyLink
    from failsoft.job_engine.records.groups import When

P = TypeVar("P", bound="BaseModel")
R = TypeVar("R")

#: The entry point that makes a dispatcher from the environment; the worker app has one.
WIRING_GROUP = "failsoft.wiring"
WIRING_NAME = "default"


class _Default:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self._pid = 0
        self._origin = ""

    def get(self) -> "Dispatcher":
        with self._lock:
            found = self._here()
            if found is None:
                found, self._pid = _wire(), os.getpid()
                self._dispatcher = found
                self._origin = "made from the environment by the first dispatch"
            return found

    def opened(self) -> "Dispatcher | None":
        with self._lock:
            return self._here()

    def _here(self) -> "Dispatcher | None":
        # After a fork it is the parent's, and so are its connections.
        return self._dispatcher if self._pid == os.getpid() else None

    def set(self, dispatcher: "Dispatcher | None", origin: str) -> None:
        with self._lock:
            self._dispatcher, self._pid = dispatcher, os.getpid()
            self._origin = origin

    def origin(self) -> str | None:
        with self._lock:
            return None if self._here() is None else self._origin


_default = _Default()


def default_dispatcher() -> "Dispatcher":
    """Return this process's dispatcher, made from the environment on first use.

    Raises:
        ConfigurationError: If a setting is wrong, or nothing that reads settings is installed.
    """
    return _default.get()


def opened_dispatcher() -> "Dispatcher | None":
    """Return this process's dispatcher if it is in use, without making one."""
    return _default.opened()


def use_dispatcher(dispatcher: "Dispatcher | None") -> None:
    """Make `dispatch_job` use this dispatcher; None goes back to the environment's."""
    caller = sys._getframe(1)  # noqa: SLF001 - a name of the standard library for debuggers
    _default.set(
        dispatcher, f"use_dispatcher was called by {caller.f_code.co_filename}:{caller.f_lineno}"
    )


def dispatcher_in_use() -> str | None:
    """Return where this process's dispatcher comes from; None if it has none yet."""
    return _default.origin()


def dispatch_many(
    job: "JobDefinition[P, R]",
    items: "Iterable[P | DispatchRequest[P]]",
    *,
    how: "Many | None" = None,
    **options: "Unpack[DispatchOptions]",
) -> "list[DispatchOutcome[R]]":
    """Dispatch many jobs of one definition, as `Dispatcher.dispatch_many` does."""
    given: dict[str, Any] = {} if how is None else {"how": how}
    return default_dispatcher().dispatch_many(job, items, **given, **options)


def dispatch_job(
    job: "JobDefinition[P, R]", payload: P, **options: "Unpack[DispatchOptions]"
) -> "JobHandle[R]":
    """Record a job and offer it to an engine, as `Dispatcher.dispatch` does.

    `DispatchOptions` describes the options; once this has returned, the job is accepted (I1).
    """
    return default_dispatcher().dispatch(job, payload, **options)


def dispatch_chain(
    *links: "Unpack[tuple[*tuple[AnyLink[Any], ...], AnyLink[R]]]",
    chain_id: str | None = None,
    after: "JobHandle[Any] | str | None" = None,
    shard: str | None = None,
) -> "ChainHandle[R]":
    """Dispatch jobs that run one after the other, as `Dispatcher.dispatch_chain` does."""
    return default_dispatcher().dispatch_chain(*links, chain_id=chain_id, after=after, shard=shard)


def dispatch_group(
    links: "Sequence[AnyLink[Any]]",
    completion: "Completion | None" = None,
    *,
    when: "When" = "all_ended",
    group_id: str | None = None,
    shard: str | None = None,
) -> "GroupHandle":
    """Dispatch jobs that run side by side, as `Dispatcher.dispatch_group` does."""
    return default_dispatcher().dispatch_group(
        links, completion, when=when, group_id=group_id, shard=shard
    )


def send_event(
    name: str,
    payload: object = None,
    *,
    to: "JobHandle[Any] | str | None" = None,
    key: str | None = None,
    event_id: str | None = None,
    keep: timedelta | None = None,
    shard: str | None = None,
) -> int:
    """Send an event to a job that waits for it, as `Dispatcher.send_event` does."""
    return default_dispatcher().send_event(
        name, payload, to=to, key=key, event_id=event_id, keep=keep, shard=shard
    )


def _wire() -> "Dispatcher":
    # Imported here: it reads mail and archives, and a program that was given its dispatcher, or
    # dispatches nothing, looks for no entry point.
    from importlib.metadata import entry_points  # noqa: PLC0415 - see above

    from failsoft.dispatcher.import_warning import warn_if_importing  # noqa: PLC0415 - see above

    warn_if_importing()
    for entry in entry_points(group=WIRING_GROUP, name=WIRING_NAME):
        dispatcher: Dispatcher = entry.load()()
        return dispatcher
    raise ConfigurationError(
        "expected an installed `failsoft-worker`, which reads the settings, got none; "
        "run `pip install failsoft`, or call use_dispatcher(...) first"
    )


async def dispatch_job_async(
    job: "JobDefinition[P, R]", payload: P, **options: "Unpack[DispatchOptions]"
) -> "AsyncJobHandle[R]":
    """Dispatch a job, as `AsyncDispatcher.dispatch` does."""
    dispatcher = await in_thread(default_dispatcher)
    from failsoft.dispatcher.async_dispatcher import AsyncDispatcher  # noqa: PLC0415 - see above

    return await AsyncDispatcher(dispatcher).dispatch(job, payload, **options)
