"""The jobs of chains and groups, as they are dispatched."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.checks import MAX_WORD_CHARS
from failsoft.job_engine.policies.uniqueness import MAX_FIELD_CHARS
from failsoft.job_engine.records.message import is_job_id
from failsoft.job_engine.validation import Expect

_EXPECT = Expect(OptionInvalidError, "link: ")

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class AnyLink(Generic[R]):
    """A link whose payload is not known here; a list of them holds links of any payload.

    A class of its own, and no `Link[Any, R]`: type checkers would take that for what the payload
    of each link in the list may be, and check none of them.
    """

    job: JobDefinition[Any, R]
    payload: BaseModel
    _: KW_ONLY
    result_field: str | None = None
    job_id: str | None = None
    engines: tuple[str, ...] | None = None
    queue: str | None = None
    priority: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no job of a chain or a group."""
        todo = "decorate the function with @job(), or declare_job(...) it"
        _EXPECT.a(JobDefinition, "a job", self.job, todo)
        if self.result_field is not None:
            _EXPECT.text("a result_field", self.result_field, least=0, most=MAX_FIELD_CHARS)
        if self.job_id is not None:
            _EXPECT.value(is_job_id(self.job_id), "a job id", self.job_id)
        if self.engines is not None:
            _EXPECT.words("engines", self.engines, most=MAX_WORD_CHARS)


@dataclass(frozen=True, slots=True)
class Link(AnyLink[R], Generic[P, R]):
    """One job of a chain or a group.

    Attributes:
        job: Its definition.
        payload: What it works on.
        result_field: The field of its payload that takes the result of the job before it in the
            chain or, in the completion of a group, the `GroupResult`.
        job_id: Its id; made from the chain's where None.
        engines: The engines it may run on, in order; the definition's where None.
        queue: The name of the declared queue it runs on; the definition's where None.
        priority: From -100 to 100; the definition's where None.
    """

    job: JobDefinition[P, R]
    payload: P
