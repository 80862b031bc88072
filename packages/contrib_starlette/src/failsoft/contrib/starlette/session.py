"""Dispatching in the transaction of a request."""

from typing import TypeVar, Unpack

from pydantic import BaseModel

from failsoft.api import AsyncDispatcher, AsyncJobHandle, DispatchOptions, JobDefinition

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class SessionDispatcher:
    """Dispatches in the transaction of one session: the jobs are there if it commits.

    Attributes:
        session: The `AsyncSession` or `AsyncConnection`, on the ledger's database.
    """

    def __init__(self, dispatcher: AsyncDispatcher, session: object) -> None:
        self.session = session
        self._dispatcher = dispatcher

    async def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> AsyncJobHandle[R]:
        """Record a job in the session's transaction; it is offered when that has committed.

        Raises:
            DispatchError: The payload or an option is wrong, or the session's database is not the
                ledger's; nothing was stored.
            LedgerUnavailableError: The ledger did not answer.
        """
        options["session"] = self.session
        return await self._dispatcher.dispatch(job, payload, **options)
