"""A task with what Failsoft adds to Django's: retries, limits of time, keys, steps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self

from failsoft.api import RetryPolicy, Unique
from failsoft.contrib.django.compat import AnyResult, AnyTask, Task
from failsoft.contrib.django.options import Mode

P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsoftTask(AnyTask, Generic[P]):
    """A task on a `FailsoftBackend`; each attribute may be given to `@task(...)` and `using`.

    Attributes:
        retry: What happens when it raises; as the backend's `OPTIONS` say where None.
        timeout: The longest an attempt may run; as the backend's `OPTIONS` say where None.
        idempotency_key: Enqueueing the same task with the same key again makes no second job.
        unique: Whether one with the same arguments may not be there twice at a time, or which
            fields of `TaskCall` decide about that.
        tags: Words to find its jobs by.
        engines: The engines it may run on, in order; the backend's where None.
        steps: Whether its context is a `StepContext`, whose steps are recorded.
        transaction: When it is recorded; as the backend's `OPTIONS` say where None.
        database: The alias of the database whose transaction it is recorded in, or waits for; the
            backend's where None. `using(using="replica")` sets it for one call.
    """

    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    idempotency_key: str | None = None
    unique: bool | Unique = False
    tags: Sequence[str] = ()
    engines: Sequence[str] | None = None
    steps: bool = False
    transaction: Mode | None = None
    database: str | None = None

    if TYPE_CHECKING:

        def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> AnyResult:
            """Do as Django's own, with the arguments of this task."""
            raise NotImplementedError

        async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> AnyResult:
            """Do as Django's own, with the arguments of this task."""
            raise NotImplementedError

    @classmethod
    def of(cls, task: AnyTask) -> "FailsoftTask[...]":
        """Return a task as one of Failsoft's: itself, unless another backend's `@task` made it."""
        if isinstance(task, FailsoftTask):
            return task
        return cls(**{field.name: getattr(task, field.name) for field in fields(Task)})

    def using(self, *, using: str | None = None, **changes: Any) -> Self:
        """Return a task with other attributes; None leaves one as it is.

        Args:
            using: The alias of a database.
            changes: Attributes of the task, Django's own among them.

        Raises:
            TypeError: There is no such attribute.
            InvalidTask: The task would not be one that its backend can run.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **(given if using is None else {**given, "database": using}))
