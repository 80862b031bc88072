"""The definition of a job that calls what its payload names, with the policies of that."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue

from failsoft.adoption.values import as_result
from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.definitions.callables import CallableRefusedError, Callables, Function
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import ResultInvalidError
from failsoft.job_engine.policies.retry import RetryPolicy

P = TypeVar("P", bound=BaseModel)

#: A call that says nothing of retries is tried once, as the queues that it came from do.
ONCE = RetryPolicy(max_attempts=1)


class Policies(NamedTuple):
    """How one call is run.

    Attributes:
        retry: What happens when it raises.
        timeout: The longest an attempt may run; the queue's timeout where None.
    """

    retry: RetryPolicy
    timeout: timedelta | None


@dataclass(frozen=True, repr=False)
class CallDefinition(JobDefinition[P, Any]):
    """A job whose retries and timeout are those of the call that its payload has.

    Attributes:
        policies: Returns them for a payload.
    """

    policies: Callable[[P], Policies] = field(kw_only=True)

    def for_payload(self, payload: str) -> "JobDefinition[P, Any]":
        """Return the definition with the policies of one job's call."""
        try:
            found = self.policies(self.decode(payload))
        except Exception:  # noqa: BLE001 - what is wrong with it, the attempt finds again
            return self
        return replace(self, retry=found.retry, timeout=found.timeout)


def found(callables: Callables, path: str) -> Function:
    """Return the function at a path that a payload names.

    Raises:
        HoldRequested: It is in no allowed module, and is not imported.
        MissingHandlerError: Its module has no such function, perhaps not yet.
    """
    try:
        return callables.find(path)
    except CallableRefusedError as error:
        raise HoldRequested(error) from error


def kept(value: object) -> JsonValue:
    """Return what a function returned as the job's result.

    Raises:
        HoldRequested: JSON cannot carry it: the work is done, and a person may give another result.
    """
    try:
        return as_result(value)
    except ResultInvalidError as error:
        raise HoldRequested(error) from error
