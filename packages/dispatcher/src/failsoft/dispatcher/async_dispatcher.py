"""`AsyncDispatcher`: a dispatcher whose methods are awaited."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.dispatching.bulk import MANY, DispatchOutcome, DispatchRequest, Many
from failsoft.dispatcher.dispatching.flow import Completion
from failsoft.dispatcher.handles.async_job import AsyncJobHandle
from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.definitions.links import AnyLink
from failsoft.job_engine.records.groups import When

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class AsyncDispatcher:
    """Dispatches as a `Dispatcher` does, off the event loop.

    A thread carries each call out, so that a caller which is cancelled meanwhile cuts nothing in
    half: what was begun is recorded and offered as a whole, or not at all.

    Attributes:
        blocking: The same dispatcher for code that is not async.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.blocking: Dispatcher = dispatcher

    async def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> AsyncJobHandle[R]:
        """Do as `Dispatcher.dispatch`; its `session` is an `AsyncSession` or `AsyncConnection`."""
        return AsyncJobHandle(await self.blocking.dispatch_async(job, payload, **options))

    async def dispatch_many(
        self,
        job: JobDefinition[P, R],
        items: Iterable[P | DispatchRequest[P]],
        *,
        how: Many = MANY,
        **options: Unpack[DispatchOptions],
    ) -> list[DispatchOutcome[R]]:
        """Do as `Dispatcher.dispatch_many`; the items are iterated over in a thread."""
        return await in_thread(lambda: self.blocking.dispatch_many(job, items, how=how, **options))

    async def dispatch_chain(
        self,
        *links: *tuple[*tuple[AnyLink[Any], ...], AnyLink[R]],
        chain_id: str | None = None,
        after: JobHandle[Any] | AsyncJobHandle[Any] | str | None = None,
        shard: str | None = None,
    ) -> ChainHandle[R]:
        """Do as `Dispatcher.dispatch_chain`; the handle's `aresult` is awaited."""
        before = after.blocking if isinstance(after, AsyncJobHandle) else after

        def dispatch() -> ChainHandle[R]:
            return self.blocking.dispatch_chain(
                *links, chain_id=chain_id, after=before, shard=shard
            )

        return await in_thread(dispatch)

    async def dispatch_group(
        self,
        links: Sequence[AnyLink[Any]],
        completion: Completion | None = None,
        *,
        when: When = "all_ended",
        group_id: str | None = None,
        shard: str | None = None,
    ) -> GroupHandle:
        """Do as `Dispatcher.dispatch_group`; the handle's `await_end` is awaited."""
        return await in_thread(
            lambda: self.blocking.dispatch_group(
                links, completion, when=when, group_id=group_id, shard=shard
            )
        )

    async def send_event(
        self,
        name: str,
        payload: object = None,
        *,
        to: JobHandle[Any] | AsyncJobHandle[Any] | str | None = None,
        key: str | None = None,
        event_id: str | None = None,
        keep: timedelta | None = None,
        shard: str | None = None,
    ) -> int:
        """Do as `Dispatcher.send_event`."""
        receiver = to.blocking if isinstance(to, AsyncJobHandle) else to
        return await in_thread(
            lambda: self.blocking.send_event(
                name, payload, to=receiver, key=key, event_id=event_id, keep=keep, shard=shard
            )
        )

    async def handle(self, job: JobDefinition[P, R], job_id: str) -> AsyncJobHandle[R]:
        """Do as `Dispatcher.handle`."""
        return AsyncJobHandle(await in_thread(lambda: self.blocking.handle(job, job_id)))

    async def flush(self) -> None:
        """Do as `Dispatcher.flush`."""
        await in_thread(self.blocking.flush)
