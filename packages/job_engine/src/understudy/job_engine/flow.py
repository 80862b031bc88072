"""The jobs of chains and groups, as they are dispatched."""

from dataclasses import KW_ONLY, dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from understudy.job_engine.definition import JobDefinition

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Link(Generic[P, R]):
    """One job of a chain or a group.

    Attributes:
        job: Its definition.
        payload: What it works on.
        result_field: The field of its payload that takes the result of the job before it in the
            chain or, in the completion of a group, the `GroupResult`.
        job_id: Its id; made from the chain's where None.
        engines: The engines it may run on, in order; the definition's where None.
    """

    job: JobDefinition[P, R]
    payload: P
    _: KW_ONLY
    result_field: str | None = None
    job_id: str | None = None
    engines: tuple[str, ...] | None = None
