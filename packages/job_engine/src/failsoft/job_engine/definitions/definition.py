"""A job with its code: what `@job` and `declare_job` make."""

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from failsoft.job_engine.declaration import JobDeclaration
from failsoft.job_engine.definitions.handlers import (
    AnyHandler,
    AsyncHandler,
    Handler,
    check_signature,
)
from failsoft.job_engine.errors import MissingHandlerError
from failsoft.job_engine.values.annotations import is_async

if TYPE_CHECKING:
    from failsoft.job_engine.steps.async_context import AsyncJobContext
    from failsoft.job_engine.steps.context import JobContext

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


@dataclass(frozen=True, repr=False)
class JobDefinition(JobDeclaration[P, R]):
    """A job and, where it runs, its handler; everything else is its declaration's.

    Attributes:
        handler: The code that runs; None where only the declaration is known.
    """

    handler: AnyHandler[P, R] | None = field(default=None, kw_only=True)

    @property
    def _shown(self) -> str:
        return super()._shown if self.handler is not None else f"{super()._shown}, not bound"

    def bind(self, handler: AnyHandler[P, R]) -> "JobDefinition[P, R]":
        """Return the definition with its handler; use it as a decorator in a worker module."""
        accepted, _ = check_signature(self.name, handler)
        self._expect(
            issubclass(self.payload_type, accepted),
            f"a handler for {self.payload_type.__name__}, got one for {accepted.__name__}",
        )
        return replace(self, handler=handler)

    def for_payload(self, payload: str) -> "JobDefinition[P, R]":
        """Return the definition as it holds for one job: itself.

        A definition that runs whatever its payload names, as a framework's tasks, returns one with
        the policies of that. It raises nothing: what is wrong with a payload, the attempt finds.

        Args:
            payload: The job's payload, as JSON.
        """
        return self

    @property
    def is_async(self) -> bool:
        """Return whether the handler is an `async def`."""
        return self.handler is not None and is_async(self.handler)

    def call(self, payload: P, ctx: "JobContext") -> R:
        """Call the handler, a plain one.

        Raises:
            MissingHandlerError: If this is a mere declaration.
        """
        handler: Handler[P, R] = self._bound()
        return handler(payload, ctx)

    def start(self, payload: P, ctx: "AsyncJobContext") -> Coroutine[Any, Any, R]:
        """Return the coroutine of an `async def` handler.

        Raises:
            MissingHandlerError: If this is a mere declaration.
        """
        handler: AsyncHandler[P, R] = self._bound()
        return handler(payload, ctx)

    def _bound(self) -> Any:
        if self.handler is None:
            raise MissingHandlerError(
                f"job {self.name!r} is declared but not bound here; import the module that binds it"
            )
        return self.handler


#: A definition whose payload and result types are not known here.
AnyDefinition = JobDefinition[Any, Any]
