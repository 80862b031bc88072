"""The context of a task with steps."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from failsoft.api import JobContext
from failsoft.contrib.django.compat import AnyContext


# Django's own is frozen, too; its stub is not.
@dataclass(frozen=True, slots=True, kw_only=True)  # pyright: ignore[reportGeneralTypeIssues]
class StepContext(AnyContext):  # type: ignore[misc]
    """What a task with `steps=True` may do besides its own work.

    Attributes:
        job: The context of the job, for what is not here.
    """

    job: JobContext = field(repr=False, compare=False)

    def run(self, name: str, fn: Any, /, *args: Any, **named: Any) -> Any:
        """Run a step once and remember its result, as `JobContext.run` does.

        Args:
            name: The step's name, unique within the task.
            fn: The work.
            args: Its arguments.
            named: The options of the step, and its keyword arguments.
        """
        return self.job.run(name, fn, *args, **named)

    def sleep(self, name: str, span: timedelta) -> None:
        """Let the task sleep for `span`, holding no worker; see `JobContext.sleep`."""
        self.job.sleep(name, span)

    def sleep_until(self, name: str, moment: datetime) -> None:
        """Let the task sleep until an aware moment, holding no worker."""
        self.job.sleep_until(name, moment)

    def idempotency_key(self, step: str) -> str:
        """Return a key for a step's side effects: the same in every attempt and engine."""
        return self.job.idempotency_key(step)
